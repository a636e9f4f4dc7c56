"""How seconds a step and memory grow with devices, group, answers and model, and where it ends."""

import copy
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grpo_jax.config import GRPO, Architecture, Experiment, Parallel
from grpo_jax.plan.count import parameters
from grpo_jax.plan.hardware import parse_topology
from grpo_jax.plan.layout import best_layout
from grpo_jax.plan.plan import Plan, Request
from grpo_jax.plan.roofline import Phase

# A doubling of devices that gains less than this is where scaling stops.
_GAIN = 1.5


@dataclasses.dataclass(frozen=True)
class Point:
  """A plan at one size.

  size: of what grows. shown: how it is written. plan: of the fastest layout that fits, or of the
  one that needs the least memory where none does. laid_out: that layout.
  """

  size: float
  shown: str
  plan: Plan
  laid_out: Parallel

  @property
  def limit(self) -> str:
    """The longest phase and what takes it, as in 'decode: memory'."""
    longest = max(_phases(self.plan).values(), key=lambda phase: phase.seconds)
    return f"{longest.name}: {longest.bound}"


def growth(
  experiment: Experiment,
  a: Architecture,
  prompt_length: int,
  *,
  device: str,
  devices: Sequence[int],
  groups: Sequence[int],
  lengths: Sequence[int],
  models: dict[str, Architecture],
  at: int,
) -> dict[str, list[Point]]:
  """Points along four axes, from one experiment with one stage of GRPO.

  Args:
    experiment, a, prompt_length: what grows; its own `parallel` is not read.
    device: a name of `hardware.DEVICES`.
    devices, groups, lengths: numbers of devices, of answers a prompt, of tokens an answer.
    models: by name.
    at: devices along all axes but the first.
  """

  def grown(a: Architecture, count: int, **sizes: int) -> tuple[Experiment, Plan]:
    changed = copy.deepcopy(experiment)
    for stage in changed.stages.values():
      assert isinstance(stage, GRPO), stage
      for name, size in sizes.items():
        setattr(stage.rollout, name, size)
    return best_layout(changed, Request(a, prompt_length, parse_topology(f"{device}:{count}")))

  def points(found: Iterator[tuple[float, str, tuple[Experiment, Plan]]]) -> list[Point]:
    return [Point(size, shown, plan, made.parallel) for size, shown, (made, plan) in found]

  by_size = sorted(models.items(), key=lambda item: parameters(item[1]))
  return {
    "devices": points((n, f"{n:,}", grown(a, n)) for n in devices),
    "group size": points((n, str(n), grown(a, at, group_size=n)) for n in groups),
    "answer tokens": points((n, f"{n:,}", grown(a, at, max_tokens=n)) for n in lengths),
    "parameters": points((parameters(m), name, grown(m, at)) for name, m in by_size),
  }


def stops(axis: str, points: Sequence[Point]) -> str:
  """Where an axis stops scaling, and why, in one sentence."""
  return _STOPS[axis](points)


def _devices_stop(points: Sequence[Point]) -> str:
  """The first doubling that gains little, and the phase that shrank the least in it."""
  for before, after in itertools.pairwise(points):
    gain = before.plan.seconds / after.plan.seconds
    if before.plan.fits and gain < _GAIN ** math.log2(after.size / before.size):
      return f"at {before.shown} devices, {after.shown} are only {gain:.2f}x: {_why(before, after)}"
  return "not within these sizes"


def _why(before: Point, after: Point) -> str:
  """What keeps a step from being as many times shorter as there are more devices."""
  old, new = _phases(before.plan), _phases(after.plan)
  share = before.size / after.size
  slowest = max(new, key=lambda name: new[name].seconds - share * old[name].seconds)
  said = _REASONS[new[slowest].bound].format(phase=slowest)
  answers = min(stage.work.P * stage.work.G for stage in after.plan.stages.values())
  if after.plan.split.rows < answers:
    return said
  return f"{said}; {answers} answers are on as many parts, and only tensor can grow"


def _phases(plan: Plan) -> dict[str, Phase]:
  return {name: phase for stage in plan.stages.values() for name, phase in stage.phases.items()}


_REASONS = {
  "sums": "sums between devices take longer than the products of {phase}",
  "gather": "gathering the weights takes longer than the products of {phase}",
  "memory": "{phase} reads all weights of a device, however few its answers are",
  "compute": "{phase} is bound by products that are not split further",
}


def _each_stop(points: Sequence[Point], cost: Callable[[Point], float], what: str) -> str:
  """Where one more no longer comes cheaper, and where memory ends."""
  rates = [cost(point) / point.size for point in points]
  least = min(range(len(points)), key=lambda index: (rates[index] > 1.1 * min(rates), index))
  said = f"{what} cost the least from {points[least].shown} on ({points[least].limit})"
  if rates[-1] > 1.1 * min(rates):
    dearest = points[-1]
    said += f" and {rates[-1] / min(rates):.1f}x as much at {dearest.shown} ({dearest.limit})"
  return f"{said}; {_memory_ends(points)}"


def _memory_ends(points: Sequence[Point]) -> str:
  too_much = [point for point in points if not point.plan.fits]
  if not too_much:
    return "all fit"
  return f"{too_much[0].shown} does not fit ({too_much[0].plan.peak / 1e9:,.0f} GB a device)"


_STOPS: dict[str, Callable[[Sequence[Point]], str]] = {
  "devices": _devices_stop,
  "group size": lambda points: _each_stop(points, lambda point: point.plan.seconds, "answers"),
  "answer tokens": lambda points: _each_stop(points, lambda point: point.plan.seconds, "tokens"),
  "parameters": lambda points: _each_stop(points, lambda point: point.plan.seconds, "parameters"),
}


def table(axes: dict[str, list[Point]]) -> str:
  """Markdown, one table an axis, each with where it stops."""
  blocks = []
  for axis, points in axes.items():
    rows = [
      f"| {axis} | seconds a step | GB a device | data x fsdp x tensor | micro-batches | limit |",
      "| --- | --- | --- | --- | --- | --- |",
      *(_row(point) for point in points),
    ]
    blocks.append("\n".join([*rows, "", f"Stops: {stops(axis, points)}."]))
  return "\n\n".join(blocks)


def _row(point: Point) -> str:
  at: Any = point.laid_out
  micro = max(stage.work.micro_batches for stage in point.plan.stages.values())
  peak = f"{point.plan.peak / 1e9:.1f}" + ("" if point.plan.fits else " (too much)")
  return (
    f"| {point.shown} | {point.plan.seconds:.1f} | {peak} | {at.data} x {at.fsdp} x {at.tensor} |"
    f" {micro} | {point.limit} |"
  )
