"""Where arrays live: the only module that knows how many devices there are.

Everything outside sees whole batches [P, ...] and one copy of the state. `single` and `pmap` differ
in what stands between: nothing, or a leading device axis on every array.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grpo_jax.config import ConfigError, Parallel

_AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Devices:
  """The devices of a run.

  count: devices that prompts are split over. axis_name: what pure functions reduce over, if at all.
  """

  count: int
  axis_name: str | None

  def compile(self, function: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    """Compiles a function whose first argument is replicated and whose others are split."""
    if self.axis_name is None:
      return jax.jit(function, donate_argnums=donate)
    return jax.pmap(function, axis_name=self.axis_name, donate_argnums=donate)

  def replicate(self, tree: Any) -> Any:
    """One copy a device."""
    if self.axis_name is None:
      return jax.device_put(tree)
    return jax.pmap(lambda _, whole: whole, in_axes=(0, None))(np.arange(self.count), tree)

  def first(self, tree: Any) -> Any:
    """One of the equal copies."""
    return tree if self.axis_name is None else jax.tree.map(lambda leaf: leaf[0], tree)

  def split(self, tree: Any) -> Any:
    """[P, ...] -> what the compiled functions take; P is a multiple of `count`."""
    if self.axis_name is None:
      return tree
    mesh = Mesh(np.array(jax.local_devices()[: self.count]), (self.axis_name,))
    parted = NamedSharding(mesh, PartitionSpec(self.axis_name))

    def one(leaf: Any) -> jax.Array:
      return jax.device_put(leaf.reshape(self.count, -1, *leaf.shape[1:]), parted)

    return jax.tree.map(one, tree)

  def join(self, tree: Any) -> Any:
    """What the compiled functions give -> [P, ...]."""
    if self.axis_name is None:
      return tree
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree)


def make_devices(config: Parallel) -> Devices:
  """The local devices that `config.parallel.mode` asks for.

  Raises:
    ConfigError: it asks for a mesh.
  """
  if config.mode == "mesh":
    raise ConfigError("config.parallel.mode='mesh' can be planned, but not run yet")
  if config.mode == "single":
    return Devices(1, None)
  return Devices(jax.local_device_count(), _AXIS)


def check_divisible(devices: Devices, size: int, parts: int, what: str) -> None:
  """Refuses a batch that does not split evenly.

  Raises:
    ConfigError: `size` is no multiple of devices x `parts`.
  """
  if size % (devices.count * parts):
    raise ConfigError(
      f"{what} = {size} is not divisible by {devices.count} devices x {parts} micro-batches"
    )
