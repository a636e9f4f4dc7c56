"""Where the rows of a file stand: an index is kept in memory, rows are read when they are asked."""

import array
import codecs
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.tasks import parquet
from grpo_jax.tasks.rows import Row, parsed, reading

# A longer line is no row: it would have to be in memory as a whole.
_LONGEST_LINE = 1 << 26
# What the file was when it was read: bytes and time of its last change.
Stamp = tuple[int, int]


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
  """The rows of a file that can be used.

  places: i64[n], the byte at which a line begins, or in Parquet the row's number, from 0.
  keys: u64[n], of the question of each, see `apart.key_of`.
  blocks: i64[b + 1], the first row of each block, and n: rows of one are read together.
  bad: how many rows were left out, and what was wrong with the first.
  """

  path: str
  expected: str
  places: np.ndarray
  keys: np.ndarray
  blocks: np.ndarray
  stamp: Stamp
  bad: tuple[int, str] = (0, "")

  def __len__(self) -> int:
    return len(self.places)

  def only(self, chosen: np.ndarray) -> "Index":
    """The rows of a mask bool[n]."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    return dataclasses.replace(
      self, places=self.places[chosen], keys=self.keys[chosen], blocks=before[self.blocks]
    )

  def read(self, rows: Sequence[int]) -> list[Row]:
    """These rows, in this order.

    Raises:
      ConfigError: the file is not as it was when it was indexed.
    """
    if stamp_of(self.path) != self.stamp:
      raise ConfigError(f"{self.path} has changed since the run began: it must stay as it is")
    places = [int(self.places[row]) for row in rows]
    if parquet.is_parquet(self.path):
      return parquet.rows_at(self.path, self.expected, places)
    with open(self.path, "rb") as file:
      found = []
      for place in places:
        file.seek(place)
        where = f"{self.path}: the row at byte {place}"
        found.append((where, parsed(_text(file.readline(), place), where, self.expected)))
    return found


def index_rows(
  path: str, expected: str, key: Callable[[str, dict[str, Any]], int], *, skip: bool = False
) -> Index:
  """Reads a file through once, a line or a part of a row group at a time.

  Args:
    path: Parquet where it ends in .parquet, else JSONL.
    expected: what a row has to have; ends every error.
    key: (where, row) -> the key of its question; raises ConfigError where it cannot be used.
    skip: leaves such rows out, and lines that are no JSON.

  Raises:
    ConfigError: one line with file and row number of what cannot be used.
  """
  places, keys = array.array("q"), array.array("Q")
  starts, bad, first = [0], 0, ""
  with reading(path, expected):
    stamp = stamp_of(path)
    for block, place, where, read in entries(path, expected):
      starts += [len(places)] * (block + 1 - len(starts))
      try:
        found = key(where, read())
      except ConfigError as error:
        if not skip:
          raise
        bad, first = bad + 1, first or str(error)
        continue
      places.append(place)
      keys.append(found)
  if not places:
    left = f" that can be used; {bad} were left out, the first: {first}" if bad else ""
    raise ConfigError(f"{path}: no rows{left}; {expected} on each line")
  return Index(
    path, expected, np.frombuffer(places, np.int64), np.frombuffer(keys, np.uint64),
    np.array([*starts, len(places)]), stamp, (bad, first),
  )  # fmt: skip


def entries(
  path: str, expected: str, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, int, str, Callable[[], dict[str, Any]]]]:
  """(block, place, FILE:NUMBER, what reads the row) of each row, as a file is read through."""
  if parquet.is_parquet(path):
    for block, number, row in parquet.scan(path, expected, columns):
      yield block, number, f"{path}:{number + 1}", functools.partial(dict, row)
    return
  with open(path, "rb") as file:
    for number, (place, line) in enumerate(_lines(file, path, expected), start=1):
      where = f"{path}:{number}"
      text = _text(line, place)
      if text.strip():
        yield 0, place, where, functools.partial(parsed, text, where, expected)


def _lines(file: Any, path: str, expected: str) -> Iterator[tuple[int, bytes]]:
  """Each line and the byte at which it begins."""
  number, place = 0, 0
  while line := file.readline(_LONGEST_LINE + 1):
    number += 1
    if len(line) > _LONGEST_LINE:
      raise ConfigError(
        f"{path}:{number}: a line of more than {_LONGEST_LINE >> 20} MiB; {expected}"
      )
    yield place, line
    place += len(line)


def _text(line: bytes, place: int) -> bytes:
  return line.removeprefix(codecs.BOM_UTF8) if place == 0 else line


def stamp_of(path: str) -> Stamp:
  """Size and time of the last change of a file."""
  status = os.stat(path)
  return status.st_size, status.st_mtime_ns
