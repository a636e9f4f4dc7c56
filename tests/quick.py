"""How the tests' programs are compiled: many and tiny, they cost more to compile than to run."""

from collections.abc import Iterable
from importlib import metadata
from typing import Any

import pytest

UNOPTIMISED = "JAX_DISABLE_MOST_OPTIMIZATIONS"


def xla_flags(devices: int) -> str:
  """XLA_FLAGS for so many devices of a CPU that are not there, compiled quickly."""
  flags = f"--xla_force_host_platform_device_count={devices}"
  # Its newer emitters take three times as long; later versions have no others, and no such flag.
  if metadata.version("jaxlib").startswith("0.10."):
    flags += " --xla_cpu_use_fusion_emitters=false"
  return flags


# For what takes hundreds of steps, or looks at what the compiler makes: as it is for people.
FOR_PEOPLE = {UNOPTIMISED: "0", "XLA_FLAGS": ""}


def often(names: Iterable[str], among: Iterable[str]) -> list[Any]:
  """Cases of a test: those that are named are of `make test`, all others are slow."""
  names, among = set(names), list(among)
  assert names <= set(among), names
  return [one if one in names else pytest.param(one, marks=pytest.mark.slow) for one in among]
