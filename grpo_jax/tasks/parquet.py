"""Parquet files, a part of a row group at a time."""

import bisect
import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from grpo_jax.config import ConfigError

# What a file unpacks to: so many times its size or so many bytes at most, a row's own too.
_MOST_GROWTH, _LEAST_BYTES, _ROW_BYTES = 200, 1 << 28, 100
_BATCH = 1024
_KEPT_GROUPS = 2


def is_parquet(path: str) -> bool:
  """By the file's name."""
  return path.lower().endswith(".parquet")


def scan(
  path: str, expected: str, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, int, dict[str, Any]]]:
  """(row group, row number in the file, row) of each; a batch of them is in memory at a time.

  A few kilobytes can claim billions of rows, or one long text in each.

  Raises:
    ConfigError: one line: it is damaged, lacks a column, or unpacks to far more than its size.
  """
  with _one_line(path, expected), open(path, "rb") as file:
    table = _opened(file)
    names, own = table.schema_arrow.names, None if columns is None else list(columns)
    if own is not None and not set(own) <= set(names):
      has = ", ".join(map(repr, names))[:80] or "none"
      raise ConfigError(f"{path}: {expected}, found {has}")
    size, number, grown = os.path.getsize(path), 0, 0
    most = max(_LEAST_BYTES, _MOST_GROWTH * size)
    for group in range(table.num_row_groups):
      for batch in table.iter_batches(_batch_size(table, most), row_groups=[group], columns=own):
        grown += batch.nbytes + _ROW_BYTES * batch.num_rows
        if grown > most:
          raise ValueError(f"{size} bytes that unpack to more than {most}")
        for row in batch.to_pylist():
          yield group, number, row
          number += 1


def rows_at(path: str, expected: str, numbers: Sequence[int]) -> list[tuple[str, dict[str, Any]]]:
  """The rows of these numbers; the row groups that they stand in are unpacked, one by one."""
  with _one_line(path, expected):
    starts = _starts(path, os.stat(path).st_mtime_ns)
    found: dict[int, dict[str, Any]] = {}
    for group in sorted({_group_of(starts, number) for number in numbers}):
      own = [n for n in numbers if _group_of(starts, n) == group]
      table = _group(path, os.stat(path).st_mtime_ns, group)
      places = [number - starts[group] for number in own]
      found |= dict(zip(own, table.take(places).to_pylist(), strict=True))
  return [(f"{path}:{number + 1}", found[number]) for number in numbers]


def _group_of(starts: Sequence[int], number: int) -> int:
  return bisect.bisect_right(starts, number) - 1


@functools.lru_cache(maxsize=8)
def _starts(path: str, stamp: int) -> tuple[int, ...]:
  """The number of each group's first row."""
  with open(path, "rb") as file:
    table = _opened(file)
    starts, total = [], 0
    for group in range(table.num_row_groups):
      starts.append(total)
      total += table.metadata.row_group(group).num_rows
  return tuple(starts)


@functools.lru_cache(maxsize=_KEPT_GROUPS)
def _group(path: str, stamp: int, group: int) -> Any:
  """A row group, unpacked; it was counted when the file was scanned."""
  with open(path, "rb") as file:
    return _opened(file).read_row_group(group)


def _opened(file: Any) -> Any:
  try:
    import pyarrow.parquet
  except ImportError as error:
    line = f"{file.name}: reading Parquet needs pyarrow: pip install 'grpo_jax[data]'"
    raise ConfigError(line) from error
  return pyarrow.parquet.ParquetFile(file)


def _batch_size(table: Any, most: int) -> int:
  """No text is longer than its group: so many of the longest are in memory before they are counted.

  By the group's size and not its columns': asked for those, Arrow aborts at a damaged file.
  """
  groups = range(table.num_row_groups)
  longest = max((table.metadata.row_group(group).total_byte_size for group in groups), default=1)
  return min(max(most // max(longest, 1), 1), _BATCH)


@contextlib.contextmanager
def _one_line(path: str, expected: str) -> Iterator[None]:
  """What Arrow says of a damaged file, in one line."""
  try:
    yield
  except (ConfigError, MemoryError):
    raise
  except Exception as error:  # Arrow's, the system's, and those of Python's dates and texts
    if isinstance(error, OSError) and error.errno is not None:
      raise
    plain = "".join(sign if sign.isprintable() else " " for sign in str(error))
    said = " ".join(plain.split())[:200]
    raise ConfigError(f"{path}: broken Parquet ({said}); {expected}") from error
