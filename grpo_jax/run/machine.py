"""The devices that a run finds, and those that it does not use."""

import os
from collections.abc import Callable

import jax

from grpo_jax.config import ConfigError

# Files that the driver of an accelerator makes, and what installs jax for it.
_DRIVERS = {
  "/proc/driver/nvidia/version": ("an NVIDIA GPU", "jax[cuda13]"),
  "/dev/accel0": ("a TPU", "jax[tpu]"),
}


def check_devices(say: Callable[[str], None]) -> None:
  """Says which accelerator jax does not see though it is here, unless CPUs were asked for.

  Raises:
    ConfigError: JAX_PLATFORMS asks for a device that is not here.
  """
  asked = os.environ.get("JAX_PLATFORMS", "")
  try:
    platform = jax.devices()[0].platform
  except (RuntimeError, AssertionError) as error:  # jax asserts where a name is all there is
    said = " ".join(str(error).split())[:200]
    raise ConfigError(
      f"JAX_PLATFORMS={asked}: jax finds no such device{said and f' ({said})'}: install jax for it,"
      " as in pip install 'jax[cuda13]', or set JAX_PLATFORMS=cpu"
    ) from error
  for path, (what, package) in _DRIVERS.items():
    if platform == "cpu" and not asked and os.path.exists(path):
      say(f"warning: {what} is here, and jax has CPUs only: pip install '{package}'")
