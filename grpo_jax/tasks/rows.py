"""Rows of data files, JSONL or Parquet, and which of them a step gets."""

import codecs
import json
import os
from collections.abc import Sequence
from typing import IO, Any

import numpy as np

from grpo_jax.config import ConfigError

# What a Parquet file unpacks to: so many times its size or so many bytes at most, a row's own too.
_MOST_GROWTH, _LEAST_BYTES, _ROW_BYTES = 200, 1 << 28, 100
_BATCH = 1024

# Where a row stands, as FILE:NUMBER from 1, and its columns.
Row = tuple[str, dict[str, Any]]


def read_rows(path: str, expected: str, columns: Sequence[str] | None = None) -> list[Row]:
  """All rows of a file: Parquet where its name ends in .parquet, else JSONL.

  Args:
    path: the file.
    expected: what a row has to have; ends every error.
    columns: those that are read of a Parquet file; all by default.

  Raises:
    ConfigError: one line with file and row number of what is no row; what is no object of columns
      is a row without any.
  """
  try:
    with open(path, "rb") as file:
      if path.lower().endswith(".parquet"):
        rows = _parquet(file, expected, columns)
      else:
        rows = _jsonl(file, expected)
  except OSError as error:
    raise ConfigError(f"{path}: {error.strerror or error}; {expected} on each line") from error
  except MemoryError as error:
    raise ConfigError(
      f"{path}: its rows do not fit into memory; {expected} on each line"
    ) from error
  if not rows:
    raise ConfigError(f"{path}: no rows; {expected} on each line")
  return rows


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


def _jsonl(file: IO[bytes], expected: str) -> list[Row]:
  lines = file.read().removeprefix(codecs.BOM_UTF8).split(b"\n")
  numbered = ((line, f"{file.name}:{number}") for number, line in enumerate(lines, start=1))
  return [(where, _parsed(line, where, expected)) for line, where in numbered if line.strip()]


def _parsed(line: bytes, where: str, expected: str) -> dict[str, Any]:
  try:
    row = json.loads(line.decode())
    json.dumps(row, ensure_ascii=False).encode()  # "\ud800" alone is no text to give a tokenizer
  except (UnicodeDecodeError, UnicodeEncodeError) as error:
    raise ConfigError(f"{where}: not UTF-8: {error.reason}; {expected}") from error
  except (ValueError, RecursionError) as error:
    raise ConfigError(f"{where}: broken JSON ({error}); {expected}") from error
  return row if isinstance(row, dict) else {}


def _parquet(file: IO[bytes], expected: str, columns: Sequence[str] | None) -> list[Row]:
  path = file.name
  try:
    import pyarrow
    import pyarrow.parquet
  except ImportError as error:
    line = f"{path}: reading Parquet needs pyarrow: pip install 'grpo_jax[data]'"
    raise ConfigError(line) from error
  try:
    table = pyarrow.parquet.ParquetFile(file)
    names = table.schema_arrow.names
    if columns is not None and not set(columns) <= set(names):
      raise ConfigError(f"{path}: {expected}, found {found(dict.fromkeys(names))}")
    rows = _unpacked(table, None if columns is None else list(columns), os.path.getsize(path))
  except ConfigError:
    raise
  except Exception as error:  # Arrow's, the system's, and those of Python's dates and texts
    plain = "".join(sign if sign.isprintable() else " " for sign in str(error))
    said = " ".join(plain.split())[:200]
    raise ConfigError(f"{path}: broken Parquet ({said}); {expected}") from error
  return [(f"{path}:{number}", row) for number, row in enumerate(rows, start=1)]


def _unpacked(table: Any, columns: list[str] | None, size: int) -> list[dict[str, Any]]:
  """The rows; a few kilobytes can claim billions of them, or one long text in each.

  Raises:
    ValueError: they are far larger than the file.
  """
  most = max(_LEAST_BYTES, _MOST_GROWTH * size)
  # No text is longer than its group: so many of the longest are in memory before they are counted.
  # The group's size and not its columns': asked for those, Arrow aborts at a damaged file.
  groups = range(table.num_row_groups)
  longest = max((table.metadata.row_group(group).total_byte_size for group in groups), default=1)
  batch_size = min(max(most // max(longest, 1), 1), _BATCH)
  rows: list[dict[str, Any]] = []
  grown = 0
  for batch in table.iter_batches(batch_size, columns=columns):
    grown += batch.nbytes + _ROW_BYTES * batch.num_rows
    if grown > most:
      raise ValueError(f"{size} bytes that unpack to more than {most}")
    rows += batch.to_pylist()
  return rows
