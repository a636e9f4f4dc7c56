"""How the tests' programs are compiled: many and tiny, they cost more to compile than to run."""

from importlib import metadata

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
