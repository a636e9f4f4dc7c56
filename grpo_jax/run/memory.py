"""Too little memory: foreseen where the plan sees it, and explained where it ends a run."""

import contextlib
import os
import re
from collections.abc import Callable, Iterator

import jax

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.run.planning import estimate
from grpo_jax.run.policy import Policy

# As XLA, NumPy and Python say it.
_OUT = re.compile(r"RESOURCE_EXHAUSTED|out of memory|unable to allocate", re.IGNORECASE)
_GB = 1e9


def foresee(experiment: Experiment, policy: Policy, say: Callable[[str], None]) -> None:
  """Says where the plan asks for more than a device has; the plan may be wrong by a part."""
  needed, stage = _planned(experiment, policy)
  there = _memory()
  if needed > there:
    say(
      f"warning: by the plan a device needs {needed / _GB:.1f} GB in stage {stage}, and has"
      f" {there / _GB:.1f}: {_hint(experiment, stage)}"
    )


@contextlib.contextmanager
def explained(experiment: Experiment, policy: Policy) -> Iterator[None]:
  """Inside, an error for want of memory becomes one line.

  Raises:
    RuntimeError: what was asked for, what the plan says, and which fields to change.
  """
  try:
    yield
  except (RuntimeError, MemoryError) as error:
    said = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and not _OUT.search(said):
      raise
    needed, stage = _planned(experiment, policy)
    raise RuntimeError(
      f"out of memory: {said[:160] or type(error).__name__}; by the plan a device needs"
      f" {needed / _GB:.2f} GB in stage {stage}, and has {_memory() / _GB:.2f}:"
      f" {_hint(experiment, stage)}; checkpoints are as they were"
    ) from error


def _planned(experiment: Experiment, policy: Policy) -> tuple[float, str]:
  """Bytes of a device, and the stage that needs the most; 0 where it cannot be planned."""
  try:
    found = estimate(experiment, policy.network.architecture, policy.tokenizer, jax.device_count())
  except ConfigError:
    return 0.0, next(iter(experiment.stages))
  most = max(found.stages.values(), key=lambda stage: stage.memory.peak)
  return most.memory.peak, most.name


def _memory() -> float:
  """Bytes of a device; on a CPU, its part of the machine's."""
  stats = jax.local_devices()[0].memory_stats() or {}
  machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
  return float(stats.get("bytes_limit", machine / jax.local_device_count()))


def _hint(experiment: Experiment, name: str) -> str:
  """What to change, with the values that there are."""
  stage, path = experiment.stages[name], f"stages.{name}"
  size = f"{path}.optimizer.micro_batches={stage.optimizer.micro_batches}"
  hints = [f"raise {size}"]
  if isinstance(stage, GRPO):
    sizes = stage.rollout
    hints = [
      f"lower {path}.rollout.group_size={sizes.group_size} or .max_tokens={sizes.max_tokens}",
      *hints,
    ]
  hints.append(f"lower model.logprob_chunk={experiment.model.logprob_chunk} or set model.remat")
  return f"{', '.join(hints)}, in another folder (experiments.plan tells what fits)"
