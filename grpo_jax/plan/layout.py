"""The mesh to choose: among all that divide an experiment, the fastest that fits."""

import copy
import dataclasses
from collections.abc import Iterator

from grpo_jax.config import ConfigError, Experiment, Parallel
from grpo_jax.plan.hardware import Topology
from grpo_jax.plan.plan import Plan, Request, plan

_MOST_TENSOR = 64


def best_layout(experiment: Experiment, request: Request) -> tuple[Experiment, Plan]:
  """The experiment with `parallel` and micro-batches as they are best, and its plan.

  It is the fastest mesh that fits of all devices or, where prompts do not suffice, of fewer; where
  none fits, the one that needs the least memory.

  Raises:
    ConfigError: no mesh divides the experiment.
  """
  found = list(_layouts(experiment, request))
  if not found:
    raise ConfigError(f"--topology={request.topology.text}: no mesh divides this experiment")
  fitting = [pair for pair in found if pair[1].fits]
  if not fitting:
    return min(found, key=lambda pair: pair[1].peak)
  return min(fitting, key=lambda pair: pair[1].seconds)


def _layouts(experiment: Experiment, request: Request) -> Iterator[tuple[Experiment, Plan]]:
  """Every mesh of powers of two."""
  count = request.topology.count
  powers = [2**n for n in range(count.bit_length()) if 2**n <= count]
  for used in powers:
    topology = dataclasses.replace(request.topology, count=used)
    for tensor in (n for n in powers if n <= min(used, _MOST_TENSOR)):
      for fsdp in (n for n in powers if n <= used // tensor):
        laid_out = Parallel(mode="mesh", data=used // fsdp // tensor, fsdp=fsdp, tensor=tensor)
        if (found := _planned(experiment, request, topology, laid_out)) is not None:
          yield found


def _planned(
  experiment: Experiment, request: Request, topology: Topology, laid_out: Parallel
) -> tuple[Experiment, Plan] | None:
  """With as few micro-batches as fit, or as many as divide the prompts; None where none does."""
  last: tuple[Experiment, Plan] | None = None
  micro_batches = 1
  while True:
    changed = copy.copy(experiment)
    object.__setattr__(changed, "parallel", laid_out)
    object.__setattr__(changed, "stages", copy.deepcopy(experiment.stages))
    for stage in changed.stages.values():
      object.__setattr__(stage.optimizer, "micro_batches", micro_batches)
    try:
      last = changed, plan(changed, dataclasses.replace(request, topology=topology))
    except ConfigError:
      return last
    if last[1].fits:
      return last
    micro_batches *= 2
