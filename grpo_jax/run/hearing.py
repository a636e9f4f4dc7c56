"""What the environments of many conversations say to a turn, as arrays."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.config.turns import Turns
from grpo_jax.isolated.turns import Turn
from grpo_jax.parallel import processes
from grpo_jax.rewards.calls import KINDS
from grpo_jax.run.between import Between, make_between
from grpo_jax.run.environments import answered, log_once
from grpo_jax.run.stage import Setting
from grpo_jax.run.talk import Talk


class Heard(NamedTuple):
  """Of R answers what their environments said: ids i32[R,O], of which `lengths` are there."""

  ids: np.ndarray
  lengths: np.ndarray
  cut: np.ndarray
  rewards: np.ndarray
  done: np.ndarray
  failed: np.ndarray


def make_hear(setting: Setting, sizes: Turns) -> Callable[[Talk, Sequence[Any], list[int]], Heard]:
  """Builds (conversations, episodes, rows that go on) -> what the environments say to all rows.

  Of several processes each plays the episodes of its own part of the prompts.

  Args:
    setting: the run. sizes: turns and their lengths.

  Raises:
    ConfigError: as of `between.make_between`.
  """
  tokenizer, most = setting.tokenizer, max(sizes.observation_tokens, 1)
  between = make_between(tokenizer, most) if sizes.turns > 1 else lambda observation: ([], False)

  def hear(talk: Talk, games: Sequence[Any], live: Sequence[int]) -> Heard:
    P = len(talk.prompts.tokens)
    G = len(games) // P

    def own(prompts: slice) -> Heard:
      rows = range(prompts.start * G, prompts.stop * G)
      heard = _silence(len(rows), most)
      here = [row for row in live if row in rows]
      said = answered(
        [games[row] for row in here],
        [talk.turns(tokenizer, row)[-1] for row in here],
        setting.workers,
        lambda: setting.pause("turn"),
      )
      for row, (kind, turn) in zip(here, said, strict=True):
        _note(heard, row - rows.start, kind, turn, between)
      return Heard(*(leaf.reshape(len(rows) // G, G, *leaf.shape[1:]) for leaf in heard))

    heard = processes.shared(own, P)
    return Heard(*(leaf.reshape(P * G, *leaf.shape[2:]) for leaf in heard))

  return hear


def _silence(rows: int, most: int) -> Heard:
  lengths, cut, failed = np.zeros((3, rows), np.int32)
  ids, rewards = np.zeros((rows, most), np.int32), np.zeros(rows, np.float32)
  return Heard(ids, lengths, cut, rewards, np.zeros(rows, bool), failed)


def _note(heard: Heard, at: int, kind: str, turn: Turn | str, between: Between) -> None:
  """What an environment said to row `at`; one that has failed says nothing more."""
  if isinstance(turn, Turn):
    heard.rewards[at], heard.done[at] = turn.reward, turn.done
    try:
      ids, heard.cut[at] = ([], False) if turn.done else between(turn.observation)
      heard.lengths[at] = len(ids)
      heard.ids[at, : len(ids)] = ids
      return
    except ConfigError as error:  # an observation that the tokenizer has no token for
      kind = "invalid"
      log_once(kind, "", str(error))
  heard.failed[at], heard.rewards[at], heard.done[at] = 1 + KINDS.index(kind), np.nan, True
