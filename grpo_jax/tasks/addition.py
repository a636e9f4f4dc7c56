"""Sums of two numbers."""

import functools

import numpy as np

from grpo_jax.config import Addition, ConfigError
from grpo_jax.tasks.task import Example, Task, messages

# The held-out list is the same in every run, so it has a seed of its own.
_HELD_OUT_SEED = 20250101
# At most this share of the unordered pairs may be held out: the others are for training.
_MOST_HELD_OUT = 0.25


def make_addition(config: Addition) -> Task:
  """Pairs from low to high. Held-out pairs are kept from training in both orders."""
  numbers = np.arange(config.low, config.high + 1)
  left, right = np.meshgrid(numbers, numbers, indexing="ij")
  unordered = np.stack([left, right], axis=-1)[left <= right]
  order = np.random.default_rng(_HELD_OUT_SEED).permutation(len(unordered))
  most = int(len(unordered) * _MOST_HELD_OUT)
  # Reserved whether asked for or not, so that training does not depend on the evaluation.
  reserved, rest = unordered[order[:most]], unordered[order[most:]]
  training = np.concatenate([rest, rest[rest[:, 0] != rest[:, 1]][:, ::-1]])

  def held_out(count: int) -> list[Example]:
    if count > most:
      raise ConfigError(
        f"config.evaluation.problems={count}: at most {most} sums of numbers from {config.low} to"
        f" {config.high} are held out"
      )
    flips = np.random.default_rng(_HELD_OUT_SEED + 1).random(most) < 0.5
    pairs = np.where(flips[:, None], reserved[:, ::-1], reserved)[:count]
    return [_example(config, int(a), int(b)) for a, b in pairs]

  def sample(seed: int, step: int, count: int) -> list[Example]:
    rng = np.random.default_rng([seed, step])
    rows = rng.choice(len(training), size=count, replace=count > len(training))
    return [_example(config, int(a), int(b)) for a, b in training[rows]]

  return Task(sample=sample, held_out=functools.cache(held_out))


def _example(config: Addition, a: int, b: int) -> Example:
  question = config.question.format(a=a, b=b)
  answer = str(a + b)
  return Example(messages(config.system, question), {"answer": answer, "a": a, "b": b}, answer)
