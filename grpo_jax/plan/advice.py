"""Which fields, set to what, would make an experiment fit: found by planning it again with them."""

import dataclasses

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.plan.ladders import Ladder, ladders
from grpo_jax.plan.layout import best_layout
from grpo_jax.plan.overrides import Overrides, apply, changed
from grpo_jax.plan.plan import Plan, Request, plan

_MOST_DEVICES = 4096
# A change that saves less is no help.
_WORTH = 0.99


def advise(experiment: Experiment, request: Request) -> list[Overrides]:
  """Changes under each of which the experiment fits; best first, empty where it fits or none does.

  First single fields, each at the mildest value that is enough, in the order of `ladders`: what
  only costs time comes before what changes results. Where no single field is enough, one
  combination, of which nothing can be left out.
  """
  if plan(experiment, request).fits:
    return []
  kinds = ladders(experiment, request)
  single = [found for rungs in kinds if (found := _single(experiment, rungs, request))]
  return [changed(experiment, found) for found in single or _combined(experiment, request)]


def enough(experiment: Experiment, request: Request) -> tuple[int, Overrides] | None:
  """How many devices of this kind suffice, doubled from those there are, and their layout."""
  count = request.topology.count
  while (count := 2 * count) <= _MOST_DEVICES and request.topology.device.name != "cpu":
    topology = dataclasses.replace(request.topology, count=count)
    try:
      found, planned = best_layout(experiment, dataclasses.replace(request, topology=topology))
    except ConfigError:
      continue
    if planned.fits:
      return planned.request.topology.count, _laid_out(found)
  return None


def _laid_out(experiment: Experiment) -> Overrides:
  at = experiment.parallel
  overrides = {f"parallel.{name}": getattr(at, name) for name in ("mode", "fsdp", "tensor")}
  return overrides | {
    f"stages.{name}.optimizer.micro_batches": stage.optimizer.micro_batches
    for name, stage in experiment.stages.items()
  }


def _tried(experiment: Experiment, overrides: Overrides, request: Request) -> Plan | None:
  """The plan under these overrides; None where a run would refuse them."""
  try:
    return plan(apply(experiment, overrides), request)
  except ConfigError:
    return None


def _single(experiment: Experiment, ladder: Ladder, request: Request) -> Overrides | None:
  """The mildest rung that fits."""
  for rung in ladder:
    found = _tried(experiment, rung, request)
    if found is not None and found.fits:
      return rung
  return None


def _combined(experiment: Experiment, request: Request) -> list[Overrides]:
  """Fields added one at a time, each that which saves the most, until it fits; then the least."""
  chosen: Overrides = {}
  best = plan(experiment, request).peak
  while True:
    trials = [
      (tried.peak, {**chosen, **rung}, tried.fits)
      for ladder in ladders(apply(experiment, chosen), request)
      for rung in ladder
      if (tried := _tried(experiment, {**chosen, **rung}, request)) is not None
    ]
    fitting = [overrides for _, overrides, fits in trials if fits]
    if fitting:
      return [_pruned(experiment, fitting[0], request)]
    if not trials:
      return []
    peak, overrides, _ = min(trials, key=lambda trial: trial[0])
    if peak > _WORTH * best:
      return []
    best, chosen = peak, overrides


def _pruned(experiment: Experiment, overrides: Overrides, request: Request) -> Overrides:
  """Without what is not needed."""
  for path in list(overrides):
    rest = {name: value for name, value in overrides.items() if name != path}
    found = _tried(experiment, rest, request)
    if found is not None and found.fits:
      overrides = rest
  return overrides
