"""Arrays of many members, of which each holds its own lane."""

import threading
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


class Stack:
  """Arrays of K members as one [K, ...], brought to the host at most once."""

  def __init__(self, array: jax.Array):
    self.array = array
    self._lock = threading.Lock()
    self._host: np.ndarray | None = None

  def host(self) -> np.ndarray:
    """All of it, as NumPy."""
    with self._lock:
      if self._host is None:
        # A copy: the device's own memory may be given to the next state.
        self._host = np.array(self.array)
      return self._host


class Lane:
  """One member's array: a leaf of its trees that is handed on without being cut out."""

  def __init__(self, stack: Stack, index: int):
    self.stack, self.index = stack, index

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the member's own array."""
    return self.stack.array.shape[1:]

  @property
  def dtype(self) -> Any:
    """Of the array."""
    return self.stack.array.dtype

  def host(self) -> np.ndarray:
    """The member's own array, as NumPy."""
    return self.stack.host()[self.index]

  def device(self) -> jax.Array:
    """The member's own array, cut out."""
    return self.stack.array[self.index]

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    return np.array(self.host(), dtype, copy=copy)

  def __getitem__(self, key: Any) -> np.ndarray:
    return self.host()[key]


def to_host(tree: Any) -> Any:
  """A tree whose lanes are NumPy arrays."""
  return jax.tree.map(lambda leaf: leaf.host() if isinstance(leaf, Lane) else leaf, tree)


def stacked(
  column: Sequence[Any], asking: int, *, keep: bool = False, share: bool = True
) -> tuple[Any, bool]:
  """One leaf of each of K members -> [K, ...] and True, or what they all share and False.

  Args:
    column: lanes, arrays or numbers of equal shape, one for each lane of the result.
    asking: how many of the lanes matter, the first ones; the others are there to fill up.
    keep: the arrays are needed after the program that takes them: a stack is copied.
    share: what is one object for all may stay one.
  """
  first = column[0]
  if share and all(leaf is first for leaf in column) and not isinstance(first, Lane):
    return first, False
  own = column[:asking]
  if all(isinstance(leaf, Lane) and leaf.stack is own[0].stack for leaf in own):
    array = own[0].stack.array
    if len(array) == len(column) and [leaf.index for leaf in own] == list(range(asking)):
      return (jnp.copy(array) if keep else array), True
  arrays = [leaf.device() if isinstance(leaf, Lane) else leaf for leaf in column]
  if any(isinstance(leaf, jax.Array) for leaf in arrays):
    return jnp.stack(arrays), True
  return np.stack(arrays), True
