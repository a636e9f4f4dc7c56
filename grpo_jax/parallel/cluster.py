"""How the processes of a run find one another."""

import jax

from grpo_jax.config import ConfigError
from grpo_jax.parallel import parting, processes


def start(
  address: str | None = None,
  count: int | None = None,
  index: int | None = None,
  heartbeat_timeout_s: int = 60,
) -> None:
  """Joins the other processes; to be called before anything else of jax.

  Args:
    address: HOST:PORT of process 0, which listens there. None, as with the next two: as Slurm, Open
      MPI, Kubernetes or the TPU pod have it, which jax asks.
    count: of processes. index: this one's, from 0.
    heartbeat_timeout_s: after which a process that says nothing counts as lost, and all end.

  Raises:
    ConfigError: one line on what is missing, or that the others were not found.
  """
  # Over what CPUs of several processes reduce; of no effect elsewhere.
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  # It would swallow SIGTERM.
  jax.config.update("jax_enable_preemption_service", False)
  try:
    jax.distributed.initialize(
      address,
      count,
      index,
      heartbeat_timeout_seconds=heartbeat_timeout_s,
      shutdown_timeout_seconds=heartbeat_timeout_s,
    )
  except (ValueError, RuntimeError, TypeError) as error:
    said = " ".join(str(error).split())
    raise ConfigError(
      f"--distributed: the processes did not find one another ({said}): give each"
      " --coordinator_address=HOST:PORT, --process_count and --process_index, or start them by"
      " Slurm, Open MPI or on a TPU pod"
    ) from error
  if processes.count() > 1:
    parting.begin(heartbeat_timeout_s)
