"""Questions in files of one's own, larger than the memory or not."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.config.files import Files
from grpo_jax.tasks.apart import held_out_rows, key_of
from grpo_jax.tasks.deal import step_order
from grpo_jax.tasks.index import Index, Stamp, index_rows, stamp_of
from grpo_jax.tasks.rows import found
from grpo_jax.tasks.task import Example, Task

_HELD_OUT_SEED = 20250105
_LARGE = 1 << 24  # bytes


@dataclasses.dataclass(frozen=True)
class Reader:
  """How rows of a file become examples.

  expected: what a row has to have; ends every error. question: the column of the question.
  example: (row, where, generator for what varies from step to step) -> an example; raises
    ConfigError, beginning with `where`, where the row cannot be used.
  """

  expected: str
  question: str
  example: Callable[[dict[str, Any], str, np.random.Generator], Example]


def make_files(config: Files, reader: Reader) -> Task:
  """Reads the files through once, checks every row, and keeps where they stand.

  Raises:
    ConfigError: one line with file and line number of what cannot be used; a question stands in
      both files.
  """
  train, held = _indices(config, reader)
  notes = tuple(
    f"{index.path}: {count} rows were left out, the first: {first}"
    for index in ((train, held) if config.held_out else (train,))
    for count, first in [index.bad]
    if count
  )
  held_keys = np.sort(held.keys)

  def is_held(question: str) -> bool:
    place = np.searchsorted(held_keys, np.uint64(key_of(question)))
    return bool(place < len(held_keys) and held_keys[place] == np.uint64(key_of(question)))

  def examples(index: Index, rows: list[int], rng: np.random.Generator) -> list[Example]:
    return [reader.example(row, where, rng) for where, row in index.read(rows)]

  def sample(seed: int, step: int, count: int) -> list[Example]:
    rows = step_order(train.blocks, seed, step, count)
    return examples(train, rows, np.random.default_rng([seed, step, 4]))

  def held_out(count: int) -> list[Example]:
    if count > len(held):
      raise ConfigError(
        f"config.evaluation.problems={count}, but {held.path} has {len(held)} questions"
        + ("" if config.held_out else f" in held_out_share={config.held_out_share:g}")
      )
    return examples(held, list(range(count)), np.random.default_rng(_HELD_OUT_SEED))

  return Task(sample, held_out, is_held=is_held, reward=config.reward, notes=notes)


def _indices(config: Files, reader: Reader) -> tuple[Index, Index]:
  """Rows to train on and rows held out."""
  whole = _indexed(config.train, config, reader)
  if not config.held_out:
    chosen = held_out_rows(whole.keys, config.held_out_share, config.train)
    return whole.only(~chosen), whole.only(chosen)
  held = _indexed(config.held_out, config, reader)
  both = np.intersect1d(whole.keys, held.keys)
  if len(both):
    rows = np.flatnonzero(np.isin(whole.keys, both))[:1].tolist()
    text = " ".join(str(whole.read(rows)[0][1][reader.question]).split())
    raise ConfigError(
      f"{len(both)} questions stand in {config.train} and in {config.held_out}, the first:"
      f" {text[:80]!r}: held-out questions must not be trained on"
    )
  return whole, held


@dataclasses.dataclass(frozen=True)
class _Wanted:
  """A file and how it is read; equal where its index is."""

  path: str
  stamp: Stamp
  config: str
  skip: bool
  reader: Reader = dataclasses.field(compare=False)


def _indexed(path: str, config: Files, reader: Reader) -> Index:
  """The file's index; a large file is read through once in a process."""
  try:
    stamp = stamp_of(path)
  except OSError:
    stamp = (0, 0)  # reading it says what is wrong
  wanted = _Wanted(path, stamp, repr(config), config.on_bad_row == "skip", reader)
  # Small ones are read again: the clock of a file is too coarse for two changes in a moment.
  return (_index_once if stamp[0] >= _LARGE else _index)(wanted)


def _index(wanted: _Wanted) -> Index:
  def key(where: str, row: dict[str, Any]) -> int:
    wanted.reader.example(row, where, np.random.default_rng(0))
    return key_of(str(row[wanted.reader.question]))

  return index_rows(wanted.path, wanted.reader.expected, key, skip=wanted.skip)


_index_once = functools.lru_cache(maxsize=4)(_index)


def text_of(row: dict[str, Any], name: str, where: str, expected: str) -> str:
  """The text in a column.

  Raises:
    ConfigError: begins with `where`: there is none, or it is empty.
  """
  value = row.get(name)
  if not isinstance(value, str):
    raise ConfigError(f"{where}: {expected}, found {found(row)}")
  if not value.strip():
    raise ConfigError(f"{where}: {name!r} is empty; {expected}")
  return value


def others(row: dict[str, Any], *used: str) -> dict[str, Any]:
  """What a row has beside the columns that are used: rewards may read it."""
  return {name: value for name, value in row.items() if name not in used}
