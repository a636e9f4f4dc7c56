"""Sums of two numbers."""

import functools
from collections.abc import Callable

import numpy as np

from grpo_jax.config import Addition, ConfigError
from grpo_jax.tasks.task import Example, Task, messages

# The held-out list is the same in every run, so it has a seed of its own.
_HELD_OUT_SEED = 20250101
# At most this share of the unordered pairs may be held out: the others are for training.
_MOST_HELD_OUT = 0.25
# Pairs of more numbers than this are drawn, not listed: they would fill the memory.
_MOST_NUMBERS = 1000
_MOST_DRAWN = 10_000
_LARGEST = 10**18  # sums fit in 64 bits
# (generator, count) -> pairs [count,2]
Draw = Callable[[np.random.Generator, int], np.ndarray]


def make_addition(config: Addition) -> Task:
  """Pairs from low to high. Held-out pairs are kept from training in both orders.

  At most a quarter of the unordered pairs can be held out, and at most 10,000 of a range of more
  than 1,000 numbers.

  Raises:
    ConfigError: the question has a placeholder other than {a} and {b}; more problems are asked for
      than can be held out.
  """
  _check_question(config.question)
  if config.high > _LARGEST:
    raise ConfigError(f"config.task.high={config.high}: must be at most {_LARGEST}")
  size = config.high + 1 - config.low
  reserved, draw = (_enumerated if size <= _MOST_NUMBERS else _drawn)(size)

  def held_out(count: int) -> list[Example]:
    if count > len(reserved):
      raise ConfigError(
        f"config.evaluation.problems={count}: at most {len(reserved)} sums of numbers from"
        f" {config.low} to {config.high} are held out"
      )
    flips = np.random.default_rng(_HELD_OUT_SEED + 1).random(len(reserved)) < 0.5
    pairs = np.where(flips[:, None], reserved[:, ::-1], reserved)[:count]
    return [_example(config, a, b) for a, b in (pairs + config.low).tolist()]

  def sample(seed: int, step: int, count: int) -> list[Example]:
    rng = np.random.default_rng([seed, step])
    pairs = draw(rng, count) + config.low
    padded = rng.random(count) < config.padded
    return [
      _example(config, a, b, zero) for (a, b), zero in zip(pairs.tolist(), padded, strict=True)
    ]

  @functools.cache
  def forbidden() -> frozenset[str]:
    pairs = np.concatenate([reserved, reserved[:, ::-1]]) + config.low
    return frozenset(config.question.format(a=a, b=b) for a, b in pairs.tolist())

  return Task(
    sample, held_out, is_held=lambda question: question in forbidden(), reward=config.reward
  )


def _enumerated(size: int) -> tuple[np.ndarray, Draw]:
  """Held-out pairs [n,2] of numbers below `size`, and a draw of others without repeats."""
  numbers = np.arange(size)
  left, right = np.meshgrid(numbers, numbers, indexing="ij")
  unordered = np.stack([left, right], axis=-1)[left <= right]
  order = np.random.default_rng(_HELD_OUT_SEED).permutation(len(unordered))
  most = int(len(unordered) * _MOST_HELD_OUT)
  # Reserved whether asked for or not, so that training does not depend on the evaluation.
  reserved, rest = unordered[order[:most]], unordered[order[most:]]
  training = np.concatenate([rest, rest[rest[:, 0] != rest[:, 1]][:, ::-1]])

  def draw(rng: np.random.Generator, count: int) -> np.ndarray:
    return training[rng.choice(len(training), size=count, replace=count > len(training))]

  return reserved, draw


def _drawn(size: int) -> tuple[np.ndarray, Draw]:
  """The same for ranges whose pairs are too many to list: drawn until enough are allowed."""

  def keys(pairs: np.ndarray) -> list[int]:
    return [int(a) * size + int(b) for a, b in pairs]

  pairs = np.random.default_rng(_HELD_OUT_SEED).integers(size, size=(2 * _MOST_DRAWN, 2))
  reserved = np.unique(np.sort(pairs, axis=1), axis=0)
  reserved = np.random.default_rng(_HELD_OUT_SEED).permutation(reserved)[:_MOST_DRAWN]
  forbidden = set(keys(reserved)) | set(keys(reserved[:, ::-1]))

  def draw(rng: np.random.Generator, count: int) -> np.ndarray:
    chosen: dict[int, np.ndarray] = {}
    while len(chosen) < count:
      pairs = rng.integers(size, size=(count, 2))
      chosen |= {k: p for k, p in zip(keys(pairs), pairs, strict=True) if k not in forbidden}
    return np.stack(list(chosen.values())[:count])

  return reserved, draw


def _check_question(question: str) -> None:
  try:
    question.format(a=0, b=0)
  except (LookupError, ValueError, AttributeError) as error:
    raise ConfigError(
      f"config.task.question={question!r}: only {{a}} and {{b}} can be filled in ({error});"
      " write {{ and }} for braces"
    ) from error


def _example(config: Addition, a: int, b: int, padded: bool = False) -> Example:
  question = config.question.format(a=a, b=b)
  answer = str(a + b)
  fields = {"answer": answer, "a": a, "b": b}
  return Example(messages(config.system, question), fields, f"0{answer}" if padded else answer)
