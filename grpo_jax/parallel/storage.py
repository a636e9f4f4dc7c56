"""Arrays of several processes as what is written, and as what is read into."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from grpo_jax.parallel import processes


def storable(tree: Any) -> Any:
  """What a checkpoint can take: a copy that every process has is NumPy, which the first writes."""
  if processes.count() == 1:
    return tree
  return jax.tree.map(lambda leaf: np.asarray(leaf) if _is_local(leaf) else leaf, tree)


def readable(tree: Any) -> Any:
  """As what a checkpoint is read: where no sharding over processes is named, NumPy on each."""
  if processes.count() == 1:
    return tree
  return jax.tree.map(
    lambda leaf: np.empty(leaf.shape, leaf.dtype) if _is_local(leaf) else leaf, tree
  )


def fetch(tree: Any) -> Any:
  """NumPy copies on every process, also of arrays that are split over them."""
  if processes.count() == 1:
    return jax.device_get(tree)
  whole = multihost_utils.process_allgather
  return jax.tree.map(
    lambda leaf: np.asarray(leaf) if _is_local(leaf) else whole(leaf, tiled=True), tree
  )


def _is_local(leaf: Any) -> bool:
  sharding = getattr(leaf, "sharding", None)
  return sharding is None or sharding.is_fully_addressable
