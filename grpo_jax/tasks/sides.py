"""Rows of files that are kept in memory, trained on or held out."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.config.files import Sides
from grpo_jax.tasks.apart import held_out_rows, key_of
from grpo_jax.tasks.index import entries
from grpo_jax.tasks.rows import reading

V = TypeVar("V")


@dataclasses.dataclass(frozen=True)
class Divided(Generic[V]):
  """What stands in files, in their order. notes: lines for a person, on rows left out."""

  train: list[V]
  held_out: list[V]
  notes: tuple[str, ...] = ()


def read_sides(
  files: Sides,
  expected: str,
  value: Callable[[str, dict[str, Any]], V],
  text: Callable[[V], str],
  columns: Sequence[str],
) -> Divided[V]:
  """Reads a file for each side, or one whose rows are divided.

  Args:
    files: their names, and what becomes of a row that cannot be used.
    expected: what a row has to have; ends every error.
    value: (where, row) -> what it holds; raises ConfigError, beginning with `where`.
    text: what must not be trained on where it is held out.
    columns: those that are read of a Parquet file.

  Raises:
    ConfigError: one line with file and row number of what cannot be used; the same text stands in
      both files; one side has no row.
  """
  read = functools.partial(
    read_file, expected=expected, value=value, columns=columns, skip=files.on_bad_row == "skip"
  )
  whole, notes = read(files.train)
  if files.held_out:
    held, more = read(files.held_out)
    _check_apart(files, [text(row) for row in whole], [text(row) for row in held])
    return Divided(whole, held, notes + more)
  keys = np.array([key_of(text(row)) for row in whole], np.uint64)
  chosen = held_out_rows(keys, files.held_out_share, files.train)
  train, held = (
    [row for row, here in zip(whole, side, strict=True) if here] for side in (~chosen, chosen)
  )
  return Divided(train, held, notes)


def held_out_of(files: Sides) -> str:
  """What an error calls the held-out rows."""
  return files.held_out or f"held_out_share={files.held_out_share:g} of {files.train}"


def read_file(
  path: str,
  expected: str,
  value: Callable[[str, dict[str, Any]], V],
  *,
  columns: Sequence[str] | None = None,
  skip: bool = False,
) -> tuple[list[V], tuple[str, ...]]:
  """What all rows of a file hold, and the line on those that were left out.

  Args:
    path, expected, value: as in `read_sides`.
    columns: those that are read of a Parquet file; all by default.
    skip: leaves out rows that cannot be used.

  Raises:
    ConfigError: as `read_sides`.
  """
  found: list[V] = []
  bad: list[str] = []
  with reading(path, expected):
    for _, _, where, row in entries(path, expected, columns):
      try:
        found.append(value(where, row()))
      except ConfigError as error:
        if not skip:
          raise
        bad.append(str(error))
  left = f"{len(bad)} rows were left out, the first: {bad[0]}" if bad else ""
  if not found:
    raise ConfigError(f"{path}: no rows{left and f'; {left}'}; {expected} on each line")
  return found, (f"{path}: {left}",) if left else ()


def _check_apart(files: Sides, train: list[str], held: list[str]) -> None:
  known = set(map(key_of, train))
  both = [row for row, text in enumerate(held) if key_of(text) in known]
  if both:
    raise ConfigError(
      f"{len(both)} rows of {files.held_out} stand in {files.train} too, the first:"
      f" {' '.join(held[both[0]].split())[:80]!r}: what is held out must not be trained on"
    )
