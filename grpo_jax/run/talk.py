"""Conversations that grow turn by turn, as the arrays of one rollout."""

from collections.abc import Sequence

import numpy as np

from grpo_jax.types import Prompts, Rollout
from grpo_jax.weights.tokenizer import Tokenizer


class Talk:
  """R = P G conversations, answer g to prompt p in row p G + g: ids alone, never texts.

  Args:
    prompts: NumPy arrays. group_size: G. total: T, the room for all turns.
  """

  def __init__(self, prompts: Prompts, group_size: int, total: int):
    self.prompts, self._group = prompts, group_size
    rows = len(prompts.tokens) * group_size
    self._tokens = np.zeros((rows, total), np.int32)
    self._mask = np.zeros((rows, total), bool)
    self._logprobs = np.zeros((rows, total), np.float32)
    self._finished = np.zeros(rows, bool)
    self._ends = np.zeros(rows, np.int64)
    # Where each turn of the model and each observation ends, in turn.
    self._cuts: list[list[int]] = [[] for _ in range(rows)]

  def say(self, rows: Sequence[int], turn: Rollout) -> None:
    """The model's next turn of these rows: the first answers of `turn`, as flat rows."""
    T = turn.tokens.shape[-1]
    flat = [np.asarray(leaf).reshape(-1, T) for leaf in (turn.tokens, turn.mask, turn.logprobs)]
    finished = np.asarray(turn.finished).reshape(-1)
    for at, row in enumerate(rows):
      tokens, mask, logprobs = (leaf[at] for leaf in flat)
      start, stop = self._extend(row, int(mask.sum()))
      self._tokens[row, start:stop] = tokens[mask]
      self._logprobs[row, start:stop] = logprobs[mask]
      self._mask[row, start:stop] = True
      self._finished[row] = finished[at]

  def hear(self, row: int, ids: Sequence[int]) -> None:
    """An observation: no tokens of the model's."""
    start, stop = self._extend(row, len(ids))
    self._tokens[row, start:stop] = ids

  def _extend(self, row: int, count: int) -> tuple[int, int]:
    start = int(self._ends[row])
    self._ends[row] += count
    self._cuts[row].append(start + count)
    return start, start + count

  def asked(self, rows: Sequence[int], width: int) -> Prompts:
    """All that these rows have so far, as prompts of the next turn: left-padded to `width`."""
    tokens, mask = np.zeros((len(rows), width), np.int32), np.zeros((len(rows), width), bool)
    for at, row in enumerate(rows):
      own = row // self._group
      first = np.asarray(self.prompts.tokens[own])[np.asarray(self.prompts.mask[own])]
      whole = np.concatenate([first, self._tokens[row, : self._ends[row]]])
      tokens[at, width - len(whole) :] = whole
      mask[at, width - len(whole) :] = True
    return Prompts(tokens, mask)  # type: ignore[arg-type]

  def is_finished(self, row: int) -> bool:
    """Whether the last turn ended with a stop token."""
    return bool(self._finished[row])

  def segments(self, row: int) -> list[list[int]]:
    """Ids of the model's turns and the observations between them: turns at even places."""
    starts = [0, *self._cuts[row][:-1]]
    own = self._tokens[row]
    return [own[a:b].tolist() for a, b in zip(starts, self._cuts[row], strict=True)]

  def turns(self, tokenizer: Tokenizer, row: int) -> list[str]:
    """What the model wrote, turn by turn."""
    return [tokenizer.decode(ids) for ids in self.segments(row)[::2]]

  def shown(self, tokenizer: Tokenizer, row: int) -> str:
    """The whole conversation after its prompt, a line for who speaks."""
    told = [tokenizer.decode(ids).strip() for ids in self.segments(row)]
    return "\n".join(f"{_WHO[at % 2]}: {text}" for at, text in enumerate(told))

  def rollout(self) -> Rollout:
    """All of it as G answers to each prompt."""
    P = len(self.prompts.tokens)

    def grouped(leaf: np.ndarray) -> np.ndarray:
      return leaf.reshape(P, self._group, *leaf.shape[1:])

    parts = (self._tokens, self._mask, self._logprobs, self._finished)
    return Rollout(self.prompts, *map(grouped, parts))  # type: ignore[arg-type]


_WHO = ("model", "environment")
