"""Which fields, set to what, would make an experiment fit: found by planning it again with them."""

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from grpo_jax.config import GRPO, ConfigError, Experiment, check
from grpo_jax.plan.plan import Plan, Request, plan

# Path of a field below config -> its value.
Overrides = dict[str, Any]
_LEAST_CHUNK = 16
# A change that saves less is no help.
_WORTH = 0.99


def advise(experiment: Experiment, request: Request) -> list[Overrides]:
  """Changes under each of which the experiment fits; best first, empty where it fits or none does.

  First single fields, each at the mildest value that is enough, in the order of `_ladders`: what
  only costs time comes before what changes results. Where no single field is enough, one
  combination, of which nothing can be left out.
  """
  if plan(experiment, request).fits:
    return []
  ladders = _ladders(experiment, request)
  single = [found for ladder in ladders if (found := _single(ladder, request))]
  return single or _combined(experiment, request)


def apply(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
  """A copy with these fields set.

  Raises:
    ConfigError: the result contradicts itself.
  """
  changed = copy.deepcopy(experiment)
  for path, value in overrides.items():
    owner: Any = changed
    *above, last = path.split(".")
    for name in above:
      owner = owner[name] if isinstance(owner, dict) else getattr(owner, name)
    object.__setattr__(owner, last, value)
  check(changed)
  return changed


def flags(overrides: Mapping[str, Any]) -> str:
  """As they are typed."""
  return " ".join(f"--config.{path}={value}" for path, value in overrides.items())


class _Ladder:
  """Changes of one kind to an experiment, mildest first."""

  def __init__(self, experiment: Experiment, rungs: list[Overrides]):
    self.experiment, self.rungs = experiment, rungs


def _ladders(experiment: Experiment, request: Request) -> Iterator[_Ladder]:
  """What costs only time, then devices, then what changes results."""
  model = experiment.model
  if not model.remat:
    yield _Ladder(experiment, [{"model.remat": True}])
  for name, stage in experiment.stages.items():
    size, _ = stage.batch
    field = f"stages.{name}.optimizer.micro_batches"
    more = [n for n in range(stage.optimizer.micro_batches + 1, size + 1) if size % n == 0]
    yield _Ladder(experiment, [{field: n} for n in more])
  yield _Ladder(experiment, [{"model.logprob_chunk": n} for n in _halves(model.logprob_chunk)])
  yield _Ladder(experiment, _meshes(experiment, request.topology.count))
  if model.dtype == "float32" and request.topology.device.name != "cpu":
    yield _Ladder(experiment, [{"model.dtype": "bfloat16"}])
  for name, stage in experiment.stages.items():
    if isinstance(stage, GRPO):
      fewer = _halves(stage.rollout.prompts, least=1)
      yield _Ladder(experiment, [{f"stages.{name}.rollout.prompts": n} for n in fewer])


def _halves(size: int, least: int = _LEAST_CHUNK) -> list[int]:
  halved = (size >> n for n in itertools.count(1))
  return list(itertools.takewhile(lambda n: n >= least, halved))


def _meshes(experiment: Experiment, devices: int) -> list[Overrides]:
  """Weights in more parts than now, over fsdp first: it costs least between devices."""
  now = experiment.parallel
  sizes = [n for n in range(1, devices + 1) if devices % n == 0]
  pairs = [(f, t) for t in sizes for f in sizes if f * t <= devices and devices % (f * t) == 0]
  own = (now.fsdp, now.tensor) if now.mode == "mesh" else (1, 1)
  more = [pair for pair in pairs if pair != own and pair[0] * pair[1] > own[0] * own[1]]
  return [
    {"parallel.mode": "mesh", "parallel.data": 0, "parallel.fsdp": f, "parallel.tensor": t}
    for f, t in more
  ]


def _tried(experiment: Experiment, overrides: Overrides, request: Request) -> Plan | None:
  """The plan under these overrides; None where a run would refuse them."""
  try:
    return plan(apply(experiment, overrides), request)
  except ConfigError:
    return None


def _single(ladder: _Ladder, request: Request) -> Overrides | None:
  """The mildest rung that fits."""
  for rung in ladder.rungs:
    found = _tried(ladder.experiment, rung, request)
    if found is not None and found.fits:
      return rung
  return None


def _combined(experiment: Experiment, request: Request) -> list[Overrides]:
  """Fields added one at a time, each that which saves the most, until it fits; then the least."""
  chosen: Overrides = {}
  best = plan(experiment, request).peak
  while True:
    ladders = _ladders(apply(experiment, chosen), request)
    trials = [
      (tried.peak, {**chosen, **rung}, tried.fits)
      for ladder in ladders
      for rung in ladder.rungs
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
