"""Devices that are not here: programs compiled for TPUs on a machine without one."""

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import SingleDeviceSharding

from grpo_jax.config import ConfigError, Parallel
from grpo_jax.parallel.devices import Devices
from grpo_jax.parallel.mesh import MeshDevices, make_mesh
from grpo_jax.parallel.rules import rows_sharding


@dataclasses.dataclass(frozen=True)
class AbsentDevices(Devices):
  """`Devices` to compile for. absent: each of them."""

  absent: tuple[Any, ...] = ()

  @property
  def _first(self) -> Any:
    return self.absent[0]

  def compile(self, function: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    if self.axis_name is None:  # the shardings of the arguments say where
      return jax.jit(function, donate_argnums=donate)
    return jax.pmap(function, axis_name=self.axis_name, devices=self.absent, donate_argnums=donate)


@dataclasses.dataclass(frozen=True)
class Ahead:
  """A program that was compiled without running.

  program: as jax has it, with cost_analysis() (which counts a loop's body once) and as_text().
  seconds: of lowering and compiling.
  """

  program: jax.stages.Compiled
  seconds: float

  @property
  def memory(self) -> dict[str, int]:
    """Bytes of one device: argument, output, alias (outputs in the room of arguments), temp.

    The most that is held at one time is argument + output - alias + temp.
    """
    stats = self.program.memory_analysis()
    names = ("argument", "output", "alias", "temp")
    return {name: getattr(stats, f"{name}_size_in_bytes") for name in names}

  @property
  def peak(self) -> int:
    """Bytes that one device needs."""
    memory = self.memory
    return memory["argument"] + memory["output"] - memory["alias"] + memory["temp"]


def topology(name: str) -> list[Any]:
  """The devices of a TPU slice by its name, as in v5e:2x2, v5p:2x2x1 or v6e:4x4.

  Raises:
    ConfigError: libtpu is not installed, or knows no such slice.
  """
  # libtpu would ask the network which machine this is, and let one process at a time use it.
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
  os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
  from jax.experimental import topologies

  try:
    return list(topologies.get_topology_desc(platform="tpu", topology_name=name).devices)
  except (RuntimeError, ValueError, NotImplementedError) as error:
    raise ConfigError(
      f"no topology {name!r}: {str(error).splitlines()[0][:150]}"
      " (pip install 'grpo_jax[tpu-aot]' brings the compiler)"
    ) from error


def absent_devices(config: Parallel, devices: Sequence[Any]) -> MeshDevices | AbsentDevices:
  """As `make_devices`, of devices that are not here; single takes the first of them.

  Raises:
    ConfigError: a mesh of another number of devices.
  """
  if config.mode == "mesh":
    return MeshDevices(make_mesh(config, devices))
  if config.mode == "pmap":
    return AbsentDevices(len(devices), "devices", absent=tuple(devices))
  return AbsentDevices(1, None, absent=tuple(devices[:1]))


def compile_ahead(
  devices: MeshDevices | AbsentDevices,
  function: Callable,
  whole: Any,
  *parts: Any,
  donate: tuple[int, ...] = (),
) -> Ahead:
  """Compiles what `devices.compile(function, donate=donate)` would run, without arrays.

  Args:
    devices: as `absent_devices` gives them.
    function: its first argument is a state or parameters, the others have a leading axis [P].
    whole, parts: shapes and types of its arguments.
    donate: arguments whose memory it may reuse.
  """
  started = time.monotonic()
  arguments = (_like(devices, whole, False), *(_like(devices, part, True) for part in parts))
  compiled: Any = devices.compile(function, donate=donate)
  return Ahead(compiled.lower(*arguments).compile(), time.monotonic() - started)


def _like(devices: MeshDevices | AbsentDevices, tree: Any, parted: bool) -> Any:
  """The tree as the compiled function takes it: split by prompts, or as a state is."""
  if isinstance(devices, MeshDevices) and not parted:
    return devices.like(tree)

  def one(leaf: Any) -> jax.ShapeDtypeStruct:
    shape = leaf.shape
    sharding: Any = None  # pmap has its own
    if isinstance(devices, MeshDevices):
      sharding = rows_sharding(devices.mesh, len(leaf))
    elif devices.axis_name is None:
      sharding = SingleDeviceSharding(devices.absent[0])
    if devices.axis_name is not None:
      own = (shape[0] // devices.count, *shape[1:]) if parted else shape
      shape = (devices.count, *own)
    return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=sharding)

  return jax.tree.map(one, tree)
