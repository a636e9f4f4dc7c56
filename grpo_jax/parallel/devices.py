"""One device, or a copy of the state on each of several."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from grpo_jax.model import Network, has_kernels
from grpo_jax.parallel import processes, storage
from grpo_jax.parallel.programs import Programs


@dataclasses.dataclass(frozen=True)
class Devices(Programs):
  """The devices of a run.

  count: devices that prompts are split over, of all processes, each of which has its part of the
    arrays. axis_name: what pure functions reduce over, if at all. device: where one device is
    another than the first.
  """

  count: int
  axis_name: str | None
  device: Any = None

  def compile(self, function: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    """Compiles a function whose first argument is replicated and whose others are split."""
    if self.axis_name is None:
      return jax.jit(function, donate_argnums=donate)
    return jax.pmap(function, axis_name=self.axis_name, donate_argnums=donate)

  def network(self, network: Network) -> Network:
    """The network, with the kernels that there are for a device that has it whole."""
    return dataclasses.replace(network, kernels=has_kernels(self._first))

  @property
  def _first(self) -> Any:
    return self.device or jax.local_devices()[0]

  def init(self, init: Callable, params: Any) -> Any:
    """init(params), one copy."""
    return init(params)

  def like(self, tree: Any) -> Any:
    """Shapes and types that a checkpoint is to be read into: one device, whoever wrote it."""
    one = SingleDeviceSharding(jax.local_devices()[0])
    return storage.readable(
      jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=one), tree)
    )

  def replicate(self, tree: Any) -> Any:
    """One copy a device."""
    if self.axis_name is None:
      return jax.device_put(tree, self.device)
    return jax.pmap(lambda _, whole: whole, in_axes=(0, None))(np.arange(self._local), tree)

  def first(self, tree: Any) -> Any:
    """One of the equal copies.

    The first device's own part and not leaf[0], which is a program of all devices: of several
    processes one could be in it while the others are in another.
    """
    if self.axis_name is None:
      return tree
    return jax.tree.map(lambda leaf: leaf.addressable_shards[0].data.reshape(leaf.shape[1:]), tree)

  def split(self, tree: Any) -> Any:
    """[P, ...] -> what the compiled functions take; P is a multiple of `count`."""
    if self.axis_name is None:
      return tree
    mesh = Mesh(np.array(jax.local_devices()[: self._local]), (self.axis_name,))
    parted = NamedSharding(mesh, PartitionSpec(self.axis_name))

    def one(leaf: Any) -> jax.Array:
      own = leaf if processes.count() == 1 else leaf[processes.own_rows(len(leaf))]
      return jax.device_put(own.reshape(self._local, -1, *leaf.shape[1:]), parted)

    return jax.tree.map(one, tree)

  def join(self, tree: Any) -> Any:
    """What the compiled functions give -> [P, ...], all of it in every process."""
    if self.axis_name is None:
      return tree
    if processes.count() > 1:
      tree = jax.device_get(tree)
    return processes.gather(jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), tree))

  @property
  def _local(self) -> int:
    """Devices of this process."""
    return self.count // processes.count()
