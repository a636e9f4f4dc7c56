"""One program over a mesh of devices, whose compiler puts the communication in."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grpo_jax.config import Parallel
from grpo_jax.model import Network, Placement
from grpo_jax.parallel.programs import Programs
from grpo_jax.parallel.rules import (
  AXES,
  GATHERED,
  ROWS,
  RULES,
  SERVED,
  cuts,
  row_parts,
  rows_sharding,
  shardings,
  spec,
)


@dataclasses.dataclass(frozen=True)
class MeshPlacement(Placement):
  """What a network is told of the mesh."""

  mesh: Mesh

  @property
  def parts(self) -> int:
    return self.mesh.shape["tensor"]

  def rows(self, tree: Any, axis: int = 0, heads: int | None = None) -> Any:
    def one(leaf: Any) -> jax.Array:
      parts: list[Any] = [None] * leaf.ndim
      parts[axis] = ROWS if leaf.shape[axis] % row_parts(self.mesh) == 0 else None
      if heads is not None and leaf.shape[heads] % self.parts == 0:
        parts[heads] = "tensor"
      sharding = NamedSharding(self.mesh, PartitionSpec(*parts))
      return jax.lax.with_sharding_constraint(leaf, sharding)

    return jax.tree.map(one, tree)

  def cuts(self, prompts: int, group: int) -> int:
    return cuts(row_parts(self.mesh), prompts, group) or 1

  def gathered(self, params: Any) -> Any:
    # Derived, the gradient would be whole on every device before each takes its part. That of the
    # embedding is: it is added up by rows, and the partitioner cannot turn rows into columns.
    returned = RULES | {"embed": GATHERED["embed"]}
    whole, own = (shardings(self.mesh, params, rules) for rules in (GATHERED, returned))
    place = jax.lax.with_sharding_constraint

    @jax.custom_vjp
    def gather(params: Any) -> Any:
      return place(params, whole)

    gather.defvjp(lambda params: (place(params, whole), None), lambda _, d: (place(d, own),))
    return gather(params)

  def served(self, name: str, weight: jax.Array) -> jax.Array:
    sharding = NamedSharding(self.mesh, spec(self.mesh, SERVED, name, weight.shape))
    return jax.lax.with_sharding_constraint(weight, sharding)


@dataclasses.dataclass(frozen=True)
class MeshDevices(Programs):
  """`Devices` of a mesh: state is split as `rules` say, batches by prompts over data and fsdp."""

  mesh: Mesh
  axis_name: None = None

  @property
  def count(self) -> int:
    """Parts that prompts are split into, or their groups where there are fewer prompts."""
    return row_parts(self.mesh)

  def network(self, network: Network) -> Network:
    """The network that places its arrays, whose chunks are of all devices together.

    Rows of a decode step stay on their devices until all have ended: to compact them would move
    caches between devices.
    """
    return dataclasses.replace(
      network,
      place=MeshPlacement(self.mesh),
      logprob_chunk=network.logprob_chunk * self.count,
      compactions=0,
    )

  def placed(self, function: Callable) -> Callable:
    """The function, whose states come out split, and all else whole."""

    @functools.wraps(function)
    def placed(*args: Any, **kwargs: Any) -> Any:
      result = function(*args, **kwargs)
      return jax.lax.with_sharding_constraint(result, shardings(self.mesh, result))

    return placed

  def compile(self, function: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    """Compiles a function of split arguments, as `placed` has it."""
    return jax.jit(self.placed(function), donate_argnums=donate)

  def init(self, init: Callable, params: Any) -> Any:
    """init(params), never whole on any device."""
    params = self.replicate(params)
    return jax.jit(init, out_shardings=shardings(self.mesh, jax.eval_shape(init, params)))(params)

  def like(self, tree: Any) -> Any:
    """Shapes and types with the shardings that a checkpoint is to be read into."""
    return jax.tree.map(
      lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
      tree,
      shardings(self.mesh, tree),
    )

  def replicate(self, tree: Any) -> Any:
    """Parameters and states, split by the rules."""
    return jax.tree.map(_put, tree, shardings(self.mesh, tree))

  def first(self, tree: Any) -> Any:
    """The state itself: there is one."""
    return tree

  def split(self, tree: Any) -> Any:
    """[P, ...], split by prompts; whole where there are fewer of them than devices."""
    return jax.tree.map(lambda leaf: _put(leaf, rows_sharding(self.mesh, len(leaf))), tree)

  def join(self, tree: Any) -> Any:
    """What the compiled functions give, which is whole."""
    return tree


def _put(leaf: Any, sharding: NamedSharding) -> jax.Array:
  if isinstance(leaf, jax.Array) and leaf.sharding == sharding:
    return leaf
  if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
    return jax.jit(lambda x: x, out_shardings=sharding)(leaf)
  whole = np.asarray(leaf)
  return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])


def make_mesh(config: Parallel, devices: Sequence[Any] | None = None) -> Mesh:
  """The mesh that `config` asks for, over all devices of all processes.

  Args:
    config: sizes of the axes; data=0 takes the devices that fsdp and tensor leave.
    devices: others than those that are there, to compile for.

  Raises:
    ConfigError: the sizes do not multiply out to the number of devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  return Mesh(np.array(devices).reshape(config.axes(len(devices))), AXES)
