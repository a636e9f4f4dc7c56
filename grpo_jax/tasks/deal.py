"""Which rows of blocks a step gets."""

import functools

import numpy as np


def step_order(blocks: np.ndarray, seed: int, step: int, count: int) -> list[int]:
  """As `rows.step_rows`, with the rows of a block near one another, so that few are read a step.

  Each epoch shuffles the blocks, and the rows within each.

  Args:
    blocks: i64[b + 1], as of `index.Index`.
  """
  total = int(blocks[-1])
  epoch, place = divmod(step, max(total // count, 1))
  order = _shuffled(tuple(blocks.tolist()), seed, epoch)
  return [int(order[row % total]) for row in range(place * count, (place + 1) * count)]


@functools.lru_cache(maxsize=4)
def _shuffled(blocks: tuple[int, ...], seed: int, epoch: int) -> np.ndarray:
  rng, count = np.random.default_rng([seed, epoch]), len(blocks) - 1
  if count == 1:
    return rng.permutation(blocks[1])
  turns = rng.permutation(count)
  return np.concatenate([blocks[b] + rng.permutation(blocks[b + 1] - blocks[b]) for b in turns])
