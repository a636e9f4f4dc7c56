"""Where arrays live: the only package that knows how many devices there are.

Everything outside sees whole batches [P, ...] and one state. What stands between differs: nothing
(`single`), a leading device axis on every array (`pmap`), or a mesh over which the compiler splits
one program (`mesh`). With several processes (`processes`) the devices are those of all.
"""

import jax

from grpo_jax.config import ConfigError, Parallel
from grpo_jax.parallel import processes
from grpo_jax.parallel.devices import Devices
from grpo_jax.parallel.meeting import Meeting
from grpo_jax.parallel.members import Member
from grpo_jax.parallel.mesh import MeshDevices, make_mesh
from grpo_jax.parallel.rules import cuts, table

__all__ = [
  "ONE_DEVICE",
  "AnyDevices",
  "Devices",
  "Meeting",
  "Member",
  "MeshDevices",
  "check_divisible",
  "make_devices",
  "make_mesh",
  "make_sampling_devices",
  "table",
]

AnyDevices = Devices | MeshDevices | Member
ONE_DEVICE = Devices(1, None)
_AXIS = "devices"


def make_devices(config: Parallel) -> AnyDevices:
  """The devices that `config.parallel` asks for, but for those that only sample.

  Raises:
    ConfigError: a mesh of another number of devices; one device for several processes; not enough
      for those that sample.
  """
  if config.sampling and processes.count() > 1:
    raise ConfigError(f"config.parallel.sampling={config.sampling} is of one process")
  if config.sampling >= len(jax.devices()):
    raise ConfigError(
      f"config.parallel.sampling={config.sampling} of {len(jax.devices())} devices leaves none to"
      " learn with"
    )
  if config.mode == "mesh":
    return MeshDevices(make_mesh(config, jax.devices()[: len(jax.devices()) - config.sampling]))
  if config.mode == "pmap":
    return Devices(jax.local_device_count() * processes.count(), _AXIS)
  if processes.count() > 1:
    raise ConfigError(
      f"config.parallel.mode='single' is one device, and there are {processes.count()} processes:"
      " 'pmap' or 'mesh'"
    )
  return ONE_DEVICE


def make_sampling_devices(config: Parallel) -> AnyDevices | None:
  """The devices that only sample, each with all parameters; None where there are none."""
  if not config.sampling:
    return None
  own = jax.devices()[-config.sampling :]
  if len(own) == 1:
    return Devices(1, None, own[0])
  return MeshDevices(make_mesh(Parallel(mode="mesh"), own))


def check_divisible(
  devices: AnyDevices, size: int, parts: int, what: str, *, group: int = 1
) -> None:
  """Refuses a batch that does not split evenly.

  Args:
    devices: over which it is split.
    size: its rows. parts: micro-batches. what: its field.
    group: answers of a row, which a mesh with more devices than rows of a micro-batch may part.

  Raises:
    ConfigError: `size` is no multiple of devices x `parts`.
  """
  if size % (devices.count * parts) == 0:
    return
  in_mesh = devices.axis_name is None
  if in_mesh and size % parts == 0 and cuts(devices.count, size // parts, group):
    return
  apart = f" (nor are the {group} answers of a prompt)" if in_mesh and group > 1 else ""
  raise ConfigError(
    f"{what} = {size} is not divisible by {devices.count} devices x {parts} micro-batches{apart}"
  )
