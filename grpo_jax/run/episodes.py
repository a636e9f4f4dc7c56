"""Episodes of several turns: the model writes, its environment answers, until it is done."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from grpo_jax.config.turns import Turns
from grpo_jax.rewards.calls import KINDS
from grpo_jax.run.hearing import make_hear
from grpo_jax.run.keys import turn_keys
from grpo_jax.run.stage import Setting
from grpo_jax.run.talk import Talk
from grpo_jax.tasks import Example
from grpo_jax.types import Params, Prompts, Rollout

# Fewer rows than this are not worth a program of their own.
_FEWEST_ROWS = 8


class Episodes(NamedTuple):
  """What became of P groups of G episodes.

  rewards: f32[P,G], the sum over the turns; NaN where the environment failed.
  turns: i32[P,G], how many the model took. cut: i32[P,G], observations that lost their end.
  failed: i32[P,G], 0, or 1 + the place of its kind of failure in `rewards.calls.KINDS`.
  """

  rewards: np.ndarray
  turns: np.ndarray
  cut: np.ndarray
  failed: np.ndarray

  def failures(self) -> dict[str, int]:
    """Episodes whose environment failed, by kind."""
    return {kind: int((self.failed == 1 + n).sum()) for n, kind in enumerate(KINDS)}


@dataclasses.dataclass(frozen=True)
class Played:
  """Episodes as the update has them, as rewards read them (turns in lines), and as people do."""

  rollout: Rollout
  episodes: Episodes
  texts: list[list[str]]
  shown: list[list[str]]


def make_player(
  setting: Setting,
  sizes: Turns,
  group_size: int,
  first: Callable[..., Rollout],
  later: Callable[..., Rollout],
) -> Callable[[Params, Prompts, np.ndarray, Sequence[Example]], Played]:
  """Builds (parameters, prompts, key data u32[P,2], examples) -> their episodes, G each.

  The first turn is a group's ordinary rollout. Each later one is a rollout of one answer to all
  that was said before, as the ids that were sampled and read, of the episodes that go on. An
  episode ends when its environment says so, with a turn that its budget has cut, or with the last.

  Args:
    setting: the run, with the task's environment.
    sizes: turns and their lengths. group_size: G.
    first, later: compiled rollouts, of G answers to a prompt and of one.

  Raises:
    ConfigError: the chat template has no place for observations, or not for any of this length.
  """
  reset, devices = setting.task.reset, setting.devices
  assert reset is not None
  hear = make_hear(setting, sizes)

  def sampled(compiled: Callable, params: Params, prompts: Prompts, keys: np.ndarray) -> Rollout:
    answers = compiled(params, devices.split(prompts), devices.split(keys))
    return jax.device_get(devices.join(answers))

  def play(
    params: Params, prompts: Prompts, keys: np.ndarray, examples: Sequence[Example]
  ) -> Played:
    (P, S), G = prompts.tokens.shape, group_size
    talk = Talk(prompts, G, sizes.total_tokens)
    games = [reset(example) for example in examples for _ in range(G)]
    rewards, (turns, cut, failed) = np.zeros(P * G, np.float32), np.zeros((3, P * G), np.int32)
    live = list(range(P * G))
    talk.say(live, sampled(first, params, prompts, keys))
    for turn in range(1, sizes.turns + 1):
      turns[live] += 1
      heard = hear(talk, games, live)
      rewards, failed = rewards + heard.rewards, failed + heard.failed
      more = turn < sizes.turns
      live = [row for row in live if more and not heard.done[row] and talk.is_finished(row)]
      if not live:
        break
      cut[live] += heard.cut[live]
      for row in live:
        talk.hear(row, heard.ids[row, : heard.lengths[row]].tolist())
      asked = live + live[:1] * (_rows(len(live), P * G, devices.count) - len(live))
      before = talk.asked(asked, sizes.prompt_tokens(S, turn))
      setting.pause("turn")
      talk.say(live, sampled(later, params, before, turn_keys(keys, G, turn)[asked]))
    whole = [leaf.reshape(P, G) for leaf in (rewards, turns, cut, failed)]
    return _played(setting, talk, Episodes(*whole))

  return play


def _rows(live: int, all_rows: int, devices: int) -> int:
  """Rows of a later turn: all of the first one's, halved while they hold those that go on."""
  rows = all_rows
  while rows % (2 * devices) == 0 and rows // 2 >= max(live, _FEWEST_ROWS):
    rows //= 2
  return rows


def _played(setting: Setting, talk: Talk, found: Episodes) -> Played:
  P, G = found.turns.shape
  each = [[p * G + g for g in range(G)] for p in range(P)]
  texts = [["\n".join(talk.turns(setting.tokenizer, row)) for row in rows] for rows in each]
  shown = [[talk.shown(setting.tokenizer, row) for row in rows] for rows in each]
  return Played(talk.rollout(), found, texts, shown)


def check_failures(episodes: Episodes, max_failed: float) -> None:
  """Stops a run whose environment fails on more than a share of the episodes, or on all.

  Raises:
    RuntimeError: says how many, and of which kinds.
  """
  size, found = episodes.failed.size, episodes.failures()
  total = sum(found.values())
  if total <= max_failed * size and total < size:
    return
  kinds = ", ".join(f"{count} {kind}" for kind, count in found.items() if count)
  raise RuntimeError(
    f"the environment failed on {total} of {size} episodes ({kinds}), more than"
    f" scoring.max_failed={max_failed:g}: the log has the first of each kind"
  )
