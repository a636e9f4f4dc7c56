"""What can be planned for: devices as their makers describe them, and topologies of them."""

import dataclasses
import difflib
import math
import re

from grpo_jax.config import ConfigError

GB = 1e9
_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Device:
  """One chip, card or machine.

  flops: of products in bfloat16, and flops_float32 of those in float32 as JAX multiplies them by
    default (TPUs in one bfloat16 pass, NVIDIA in TF32), operations a second.
  memory: bytes. bandwidth: of that memory, bytes a second.
  interconnect: bytes a second that a device receives from those it is linked with.
  group: devices that are linked so; beyond them bytes go through `network`, a second and device.
  axes: dimensions of a topology; 0 is a plain number of devices.
  reached: the shares of flops and of bandwidth that large products and long reads have been seen
    to reach; what is estimated is divided by them. narrow: of flops, in the products of decoding.
  source: where the figures are published.
  """

  name: str
  flops: float
  flops_float32: float
  memory: float
  bandwidth: float
  interconnect: float
  group: int
  network: float
  axes: int
  source: str
  reached: tuple[float, float] = (0.5, 0.8)
  narrow: float = 0.5

  @property
  def usable(self) -> float:
    """Bytes that a program may have: the runtime and fragmentation keep the rest."""
    return 0.92 * self.memory


def _tpu(
  name: str, tflops: float, gib: float, gb_per_s: float, link: float, chips: int, axes: int
) -> Device:
  return Device(
    name,
    flops=tflops * 1e12,
    flops_float32=tflops * 1e12,
    memory=gib * _GIB,
    bandwidth=gb_per_s * GB,
    interconnect=link * GB,
    group=chips,
    network=6.25 * GB,
    axes=axes,
    source=f"docs.cloud.google.com/tpu/docs/{'tpu7x' if name == 'v7x' else name}",
  )


def _gpu(
  name: str,
  tflops: float,
  gb: float,
  gb_per_s: float,
  link: float,
  group: int,
  network: float,
  source: str,
) -> Device:
  return Device(
    name,
    flops=tflops * 1e12,
    flops_float32=tflops / 2 * 1e12,
    memory=gb * GB,
    bandwidth=gb_per_s * GB,
    interconnect=link * GB,
    group=group,
    network=network * GB,
    axes=0,
    source=source,
  )


# Links of TPUs: half of the bidirectional bandwidth a chip. Of NVIDIA: half of NVLink's total, PCIe
# where there is none; dense rates, without sparsity; beyond a machine one 400 Gb/s port a card.
DEVICES = {
  device.name: device
  for device in (
    _tpu("v4", 275, 32, 1228, 300, 4096, 3),
    _tpu("v5e", 197, 16, 819, 200, 256, 2),
    _tpu("v5p", 459, 95, 2765, 600, 6144, 3),
    _tpu("v6e", 918, 32, 1638, 400, 256, 2),
    _tpu("v7x", 2307, 192, 7380, 600, 9216, 3),
    _gpu("l4", 121, 24, 300, 32, 8, 6, "nvidia.com/en-us/data-center/l4"),
    _gpu("a100", 312, 80, 2039, 300, 8, 25, "nvidia.com/en-us/data-center/a100 (SXM, 80 GB)"),
    _gpu("h100", 989, 80, 3350, 450, 8, 50, "nvidia.com/en-us/data-center/h100 (SXM)"),
    _gpu("h200", 989, 141, 4800, 450, 8, 50, "nvidia.com/en-us/data-center/h200 (SXM)"),
    _gpu("b200", 2250, 180, 7700, 900, 8, 50, "nvidia.com/en-us/data-center/hgx (B200)"),
    # Two cores of an AMD EPYC (AVX2), measured by benchmarks/floor.py; memory is the machine's own.
    Device(
      "cpu",
      flops=100e9,
      flops_float32=197e9,
      memory=24 * GB,
      bandwidth=35 * GB,
      interconnect=10 * GB,
      group=4096,
      network=1 * GB,
      axes=0,
      source="benchmarks/floor.py on two cores",
      reached=(0.75, 0.8),
      narrow=0.42,
    ),
  )
}


@dataclasses.dataclass(frozen=True)
class Topology:
  """`count` devices of a kind. text: as it was asked for."""

  device: Device
  count: int
  text: str

  @property
  def link(self) -> float:
    """Bytes a second that a device receives in a collective of all of them."""
    return self.device.interconnect if self.count <= self.device.group else self.device.network


def parse_topology(text: str, *, cpu_memory: float | None = None) -> Topology:
  """NAME, NAME:COUNT or, of TPUs, NAME:AxB or NAME:AxBxC.

  Args:
    text: as in v5p:4x4x4, h100:8, cpu.
    cpu_memory: bytes of this machine, which its CPU devices share.

  Raises:
    ConfigError: one line: an unknown device, with the nearest known; a shape that is none.
  """
  name, _, shape = text.strip().lower().partition(":")
  if name not in DEVICES:
    near = difflib.get_close_matches(name, DEVICES, n=1, cutoff=0.3)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"--topology={text}: no device {name!r}: {hint}known are {_known()}")
  device = DEVICES[name]
  count = _count(text, device, shape)
  if name != "cpu":
    return Topology(device, count, text)
  # Devices of one CPU share its cores, its memory and the way to it.
  whole = device.memory if cpu_memory is None else cpu_memory
  shared = {
    field: getattr(device, field) / count for field in ("flops", "flops_float32", "bandwidth")
  }
  return Topology(dataclasses.replace(device, memory=whole / count, **shared), count, text)


def _count(text: str, device: Device, shape: str) -> int:
  if not shape:
    return 1
  example = {0: "8", 2: "4x4", 3: "4x4x4"}[device.axes]
  if not re.fullmatch(r"\d+(x\d+)*", shape):
    raise ConfigError(
      f"--topology={text}: {shape!r} is no shape: expected {device.name}:{example} or a count"
    )
  sizes = [int(size) for size in shape.split("x")]
  count = math.prod(sizes)
  if count < 1:
    raise ConfigError(f"--topology={text}: {shape} multiplies out to no device")
  if len(sizes) > 1 and len(sizes) != device.axes:
    wanted = f"{device.axes} dimensions" if device.axes else "a count"
    raise ConfigError(
      f"--topology={text}: {device.name} has {wanted}, as in {device.name}:{example}, not"
      f" {len(sizes)} dimensions"
    )
  if device.axes and count > device.group:
    raise ConfigError(
      f"--topology={text}: {shape} is {count:,} chips, and a slice of {device.name} has at most"
      f" {device.group:,}"
    )
  return count


def _known() -> str:
  return ", ".join(DEVICES)
