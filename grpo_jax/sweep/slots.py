"""Where trials run: cores or GPUs of this machine, divided among those that run at one time."""

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence

from grpo_jax.config import ConfigError


@dataclasses.dataclass(frozen=True)
class Slot:
  """A place for one trial.

  name: for people. cores: those it may use; none for all. variables: added to the environment.
  """

  name: str
  cores: tuple[int, ...] = ()
  variables: Mapping[str, str] = dataclasses.field(default_factory=dict)


def make_slots(jobs: int, devices: int, cores: Sequence[int], gpus: Sequence[str]) -> list[Slot]:
  """Divides what is there.

  Args:
    jobs: how many slots, at least 1.
    devices: GPUs of each, at least 1.
    cores: of this process. More jobs than cores share them.
    gpus: ids as of CUDA_VISIBLE_DEVICES; none for a machine without.

  Raises:
    ConfigError: there are too few GPUs.
  """
  if gpus and jobs * devices > len(gpus):
    raise ConfigError(
      f"--jobs={jobs} with {devices} GPUs each needs {jobs * devices}, and {len(gpus)} are at hand:"
      f" --jobs={max(1, len(gpus) // devices)}"
    )
  if not gpus and devices > 1:
    raise ConfigError(f"--devices_per_trial={devices}: no GPU is at hand")
  slots = []
  for index in range(jobs):
    own = _share(cores, index, jobs) if jobs > 1 else ()
    variables = {"OMP_NUM_THREADS": str(len(own)), "NPROC": str(len(own))} if own else {}
    name = f"cores {','.join(map(str, own))}" if own else "all cores"
    if gpus:
      mine = gpus[index * devices : (index + 1) * devices]
      variables["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
      name = f"GPU {','.join(mine)}"
    slots.append(Slot(name, own, variables))
  return slots


def _share(cores: Sequence[int], index: int, jobs: int) -> tuple[int, ...]:
  """Part `index` of `jobs` parts whose sizes differ by at most one."""
  if jobs > len(cores):
    return (cores[index % len(cores)],)
  start, stop = (len(cores) * at // jobs for at in (index, index + 1))
  return tuple(cores[start:stop])


def own_cores() -> list[int]:
  """Cores that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return sorted(os.sched_getaffinity(0))
  return list(range(os.cpu_count() or 1))


def own_gpus(environment: Mapping[str, str]) -> list[str]:
  """GPUs that a child would see; none where JAX_PLATFORMS leaves them out."""
  platforms = environment.get("JAX_PLATFORMS", "")
  if platforms and not {"cuda", "gpu"} & set(platforms.split(",")):
    return []
  visible = environment.get("CUDA_VISIBLE_DEVICES")
  if visible is not None:
    names = [name.strip() for name in visible.split(",")]
    return [name for name in names if name not in ("", "-1", "NoDevFiles")]
  command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
  try:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
  except (OSError, subprocess.TimeoutExpired):
    return []
  return done.stdout.split() if done.returncode == 0 else []
