"""Changes that can save memory, of one kind each, mildest first."""

import itertools
from collections.abc import Iterator

from grpo_jax.config import GRPO, Experiment
from grpo_jax.plan.overrides import Overrides
from grpo_jax.plan.plan import Request

_LEAST_CHUNK = 16
Ladder = list[Overrides]


def ladders(experiment: Experiment, request: Request) -> Iterator[Ladder]:
  """What costs only time, then devices, then what changes results."""
  model = experiment.model
  if not model.remat:
    yield [{"model.remat": True}]
  if model.unroll != 1:
    yield [{"model.unroll": 1}]
  judged = min(experiment.evaluation.batch_size, experiment.evaluation.problems)
  yield [{"evaluation.batch_size": n} for n in _halves(judged, least=1)]
  for name, stage in experiment.stages.items():
    size, _ = stage.batch
    field = f"stages.{name}.optimizer.micro_batches"
    more = [n for n in range(stage.optimizer.micro_batches + 1, size + 1) if size % n == 0]
    yield [{field: n} for n in more]
  yield [{"model.logprob_chunk": n} for n in _halves(model.logprob_chunk)]
  for name, stage in experiment.stages.items():
    if isinstance(stage, GRPO) and stage.loss.kl_coefficient:
      yield [{f"stages.{name}.reference_place": "host"}]
    yield [{f"stages.{name}.optimizer.first_moment": "bfloat16"}]
  yield _meshes(experiment, request.topology.count)
  if model.dtype == "float32" and request.topology.device.name != "cpu":
    yield [{"model.dtype": "bfloat16"}]
  for name, stage in experiment.stages.items():
    if isinstance(stage, GRPO):
      fewer = _halves(stage.rollout.prompts, least=1)
      yield [{f"stages.{name}.rollout.prompts": n} for n in fewer]


def _halves(size: int, least: int = _LEAST_CHUNK) -> list[int]:
  halved = (size >> n for n in itertools.count(1))
  return list(itertools.takewhile(lambda n: n >= least, halved))


def _meshes(experiment: Experiment, devices: int) -> list[Overrides]:
  """Weights in more parts than now, over fsdp first: it costs least between devices."""
  now = experiment.parallel
  sizes = [n for n in range(1, devices + 1) if devices % n == 0]
  pairs = [(f, t) for t in sizes for f in sizes if devices % (f * t) == 0]
  own = now.fsdp * now.tensor
  rungs = [
    {"parallel.mode": "mesh", "parallel.data": 0, "parallel.fsdp": f, "parallel.tensor": t}
    | _divided(experiment, devices // t)
    for f, t in pairs
    if f * t > own
  ]
  return sorted(rungs, key=lambda rung: rung["parallel.tensor"] * rung["parallel.fsdp"])


def _divided(experiment: Experiment, rows: int) -> Overrides:
  """Fewer micro-batches, where rows of more devices leave no more."""
  found: Overrides = {}
  for name, stage in experiment.stages.items():
    size, now = stage.batch[0], stage.optimizer.micro_batches
    fewer = [n for n in range(1, now + 1) if size % (n * rows) == 0]
    if fewer and fewer[-1] != now:
      found[f"stages.{name}.optimizer.micro_batches"] = fewer[-1]
  return found
