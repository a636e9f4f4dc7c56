"""What is held out is never trained on: decided by the question's text alone."""

import hashlib
from collections.abc import Callable

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.tasks.task import Example

Sample = Callable[[int, int, int], list[Example]]
# Draws in place of one held-out question, before it is said that there is nothing else to ask.
_TRIES = 50


def key_of(question: str) -> int:
  """64 bits of a hash of the question; how its words are spaced does not matter."""
  plain = " ".join(question.split()).encode(errors="replace")
  return int.from_bytes(hashlib.blake2b(plain, digest_size=8).digest(), "little")


def in_share(keys: np.ndarray | int, share: float) -> np.ndarray:
  """Whether questions of these keys are among a share of all; bool of the shape of `keys`."""
  return np.asarray(keys, np.uint64) < np.uint64(min(int(share * 2**64), 2**64 - 1))


def held_out_rows(keys: np.ndarray, share: float, path: str) -> np.ndarray:
  """Which rows of a file are held out, where no second file is: `in_share` of their keys u64[n].

  Raises:
    ConfigError: one side has no row.
  """
  chosen = in_share(keys, share)
  for name, count in (("held out", chosen.sum()), ("trained on", (~chosen).sum())):
    if not count:
      raise ConfigError(
        f"{path}: of {len(keys)} rows none is {name} with held_out_share={share:g}: change it, or"
        " name a file in held_out"
      )
  return chosen


def sub_seed(seed: int, *path: int | str) -> int:
  """A seed of its own for a part of what is drawn from `seed`, in [0, 2^31)."""
  words = [key_of(part) if isinstance(part, str) else part for part in path]
  return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0]) >> 1


def apart(sample: Sample, is_held: Callable[[str], bool], what: str) -> Sample:
  """`sample` with others in place of questions that are held out.

  Args:
    sample: of a task that may not know them.
    is_held: whether a question is held out.
    what: names the task in the error.

  Raises, when it is called:
    ConfigError: nothing but held-out questions is found.
  """

  def other(seed: int, step: int, row: int, question: str) -> Example:
    for attempt in range(_TRIES):
      example = sample(sub_seed(seed, row, attempt), step, 1)[0]
      if not is_held(example.question):
        return example
    raise ConfigError(
      f"{what} asks {question[:60]!r} in step {step}, which is held out, and {_TRIES} other draws"
      " ask nothing else: there must be questions that evaluation does not have"
    )

  def kept(seed: int, step: int, count: int) -> list[Example]:
    return [
      other(seed, step, row, example.question) if is_held(example.question) else example
      for row, example in enumerate(sample(seed, step, count))
    ]

  return kept
