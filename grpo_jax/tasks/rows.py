"""Rows of data files, JSONL or Parquet, and which of them a step gets."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError

# Where a row stands, as FILE:NUMBER from 1, and its columns.
Row = tuple[str, dict[str, Any]]


@contextlib.contextmanager
def reading(path: str, expected: str) -> Iterator[None]:
  """Inside, a file of rows is read.

  Raises:
    ConfigError: one line on a file that cannot be opened or is too large.
  """
  try:
    yield
  except OSError as error:
    raise ConfigError(f"{path}: {error.strerror or error}; {expected} on each line") from error
  except MemoryError as error:
    raise ConfigError(
      f"{path}: its rows do not fit into memory; {expected} on each line"
    ) from error


def found(row: dict[str, Any]) -> str:
  """The names of a row's columns, as an error tells them."""
  return ", ".join(map(repr, row))[:80] or "none"


def step_rows(total: int, seed: int, step: int, count: int) -> list[int]:
  """Rows of one step: each epoch is a shuffle of its own, dealt out in whole steps.

  What is left of an epoch is less than a step: it waits for the next shuffle, so that no step has a
  row twice. Only a step of more rows than there are repeats some.
  """
  steps = max(total // count, 1)  # an epoch's
  epoch, place = divmod(step, steps)
  order = np.random.default_rng([seed, epoch]).permutation(total)
  return [int(order[row % total]) for row in range(place * count, (place + 1) * count)]


def parsed(line: bytes, where: str, expected: str) -> dict[str, Any]:
  """A line's object; what is no object of columns is a row without any.

  Raises:
    ConfigError: begins with `where`: it is not UTF-8, or no JSON.
  """
  try:
    row = json.loads(line.decode())
    json.dumps(row, ensure_ascii=False).encode()  # "\ud800" alone is no text to give a tokenizer
  except (UnicodeDecodeError, UnicodeEncodeError) as error:
    raise ConfigError(f"{where}: not UTF-8: {error.reason}; {expected}") from error
  except (ValueError, RecursionError) as error:
    raise ConfigError(f"{where}: broken JSON ({error}); {expected}") from error
  return row if isinstance(row, dict) else {}
