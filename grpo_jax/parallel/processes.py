"""The processes of a run: which one this is, and how all of them come to the same numbers.

Each runs the same program on the same host-side values; its devices have a part of the arrays, and
it scores a part of the answers. With one process nothing here does anything.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from grpo_jax.config import ConfigError

T = TypeVar("T")
# Bytes of an error's text that travel to the other processes.
_LONGEST = 1000


def count() -> int:
  """How many there are."""
  # Without jax.distributed there is one, and no reason yet to start the devices.
  return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
  """This one, from 0: the first writes the files of the run."""
  return jax.process_index() if count() > 1 else 0


def own_rows(rows: int) -> slice:
  """This process's part of `rows` rows: consecutive, and all of one size but the last ones."""
  size = -(-rows // count())
  return slice(min(index() * size, rows), min((index() + 1) * size, rows))


def gather(tree: T) -> T:
  """Arrays [n, ...] of each process -> [processes x n, ...] on all, bit for bit.

  All processes call it with equal shapes and types.
  """
  if count() == 1:
    return tree
  leaves, structure = jax.tree.flatten(jax.tree.map(np.ascontiguousarray, tree))
  # As bytes: devices have not all types of the host.
  own = np.concatenate([leaf.reshape(-1).view(np.uint8) for leaf in leaves])
  whole = multihost_utils.process_allgather(own)
  ends = np.cumsum([leaf.nbytes for leaf in leaves])
  parts = np.split(whole, ends[:-1], axis=1)
  found = [
    np.ascontiguousarray(part).reshape(-1).view(leaf.dtype).reshape(-1, *leaf.shape[1:])
    for part, leaf in zip(parts, leaves, strict=True)
  ]
  return jax.tree.unflatten(structure, found)


def shared(work: Callable[[slice], T], rows: int) -> T:
  """Arrays [rows, ...] that each process works out a part of, given its rows; all get the whole.

  What is raised in one is raised in all.
  """
  if count() == 1:
    return work(slice(0, rows))
  with together():
    own = jax.tree.map(np.asarray, work(own_rows(rows)))
  size = -(-rows // count())

  def filled(leaf: np.ndarray) -> np.ndarray:
    return np.concatenate([leaf, np.zeros((size - len(leaf), *leaf.shape[1:]), leaf.dtype)])

  return jax.tree.map(lambda leaf: leaf[:rows], gather(jax.tree.map(filled, own)))


@contextlib.contextmanager
def together() -> Iterator[None]:
  """What is raised inside by one process is raised by all, as a line: no one waits for it.

  Inside no process may wait for another.
  """
  if count() == 1:
    yield
    return
  error: Exception | None = None
  try:
    yield
  except Exception as raised:
    error = raised
  texts = _texts("" if error is None else str(error) or type(error).__name__)
  if error is not None:
    raise error
  for text in filter(None, texts):
    raise ConfigError(text)


def check_same(value: str, what: str) -> None:
  """Refuses processes that were not started alike.

  Raises:
    ConfigError: `value`, of which `what` is the name, differs among processes.
  """
  hashes = _texts(hashlib.sha256(value.encode()).hexdigest())
  other = [number for number, found in enumerate(hashes) if found != hashes[0]]
  if other:
    raise ConfigError(f"process {other[0]} was started with another {what} than process 0")


def agree(flag: bool) -> bool:
  """Whether any process says so."""
  return bool(gather(np.array([flag])).any())


def decided(flag: bool) -> bool:
  """What process 0 says."""
  return bool(gather(np.array([flag]))[0])


def _texts(text: str) -> list[str]:
  """A text of each process, in their order, cut."""
  own = np.zeros((1, _LONGEST), np.uint8)
  cut = text.encode()[:_LONGEST]
  own[0, : len(cut)] = np.frombuffer(cut, np.uint8)
  return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in gather(own)]
