"""A plan as text for people, and as plain values for programs."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.overrides import Overrides, flags
from grpo_jax.plan.plan import Plan, StagePlan

_GB = 1e9


@dataclasses.dataclass(frozen=True)
class Report:
  """What is said of an experiment.

  advice: as `advise` gives it. notes: what was assumed. price: dollars of a device's hour; 0 is
  unknown. more: devices that would suffice, as `enough` gives them. compiled: what the compiler
  says of each stage's programs.
  """

  plan: Plan
  advice: Sequence[Overrides] = ()
  notes: Sequence[str] = ()
  price: float = 0.0
  more: tuple[int, Overrides] | None = None
  compiled: Mapping[str, Mapping[str, Compiled]] = dataclasses.field(default_factory=dict)


def text(report: Report) -> list[str]:
  """Lines for a person."""
  plan, topology = report.plan, report.plan.request.topology
  device = topology.device
  lines = [
    f"{plan.parameters:,} parameters, computed in {plan.how.dtype}; {topology.count} x"
    f" {device.name}, {device.memory / _GB:.1f} GB each ({device.source})",
    *(f"note: {note}" for note in report.notes),
  ]
  for name, stage in plan.stages.items():
    lines += ["", *_stage_lines(plan, stage, report.price)]
    if name in report.compiled:
      lines += _compiled_lines(stage, report.compiled[name])
  return [*lines, "", *_verdict(report)]


def values(report: Report) -> dict[str, Any]:
  """The same, in bytes, seconds, operations and dollars."""
  plan, topology, more = report.plan, report.plan.request.topology, report.more
  return {
    "parameters": plan.parameters,
    "topology": {"device": topology.device.name, "count": topology.count},
    "device_memory": topology.device.memory,
    "peak": plan.peak,
    "fits": plan.fits,
    "advice": list(report.advice),
    "enough": None if more is None else {"devices": more[0], "overrides": more[1]},
    "notes": list(report.notes),
    "stages": {
      name: _stage_values(plan, stage, report.price)
      | _compiled_values(stage, report.compiled.get(name))
      for name, stage in plan.stages.items()
    },
  }


def dollars(plan: Plan, stage: StagePlan, price: float) -> float:
  """Of one step, on all devices."""
  return stage.seconds / 3600 * price * plan.request.topology.count


def _stage_values(plan: Plan, stage: StagePlan, price: float) -> dict[str, Any]:
  own = {"step": dollars(plan, stage, price), "stage": dollars(plan, stage, price) * stage.steps}
  return {
    "kind": stage.kind,
    "steps": stage.steps,
    "flops": stage.flops,
    "seconds": stage.seconds,
    "dollars": own if price else None,
    "phases": {
      name: vars(phase) | {"seconds": phase.seconds, "bound": phase.bound}
      for name, phase in stage.phases.items()
    },
    "memory": {
      "always": stage.memory.always,
      "programs": stage.memory.programs,
      "peak": stage.memory.peak,
      "peak_in": stage.memory.busiest,
    },
  }


def _compiled_values(stage: StagePlan, of: Mapping[str, Compiled] | None) -> dict[str, Any]:
  if not of:
    return {}
  programs = {program: vars(stats) for program, stats in of.items()}
  return {"compiled": programs, "peak_compiled": stage.memory.with_compiled(of)}


def _stage_lines(plan: Plan, stage: StagePlan, price: float) -> list[str]:
  work = stage.work
  sizes = f"{work.P} prompts of {work.S} x {work.G} answers of {work.T} tokens"
  if not work.G:
    sizes = f"{work.P} rows of {work.S} tokens"
  lines = [f"stage {stage.name} ({stage.kind}): {stage.steps} steps, each {sizes}"]
  rows = [("phase", "TFLOP", "seconds", "limit")]
  for phase in stage.phases.values():
    rows.append((phase.name, _short(phase.flops / 1e12), _short(phase.seconds), phase.bound))
  rows.append(("step", _short(stage.flops / 1e12), _short(stage.seconds), ""))
  lines += _aligned(rows)
  hours = stage.seconds * stage.steps / 3600
  cost = f"  stage: {_short(hours)} hours"
  if price:
    step = dollars(plan, stage, price)
    cost += f", ${_short(step)} a step, ${_short(step * stage.steps)} in all"
  return [*lines, cost, *_memory_lines(stage)]


def _memory_lines(stage: StagePlan) -> list[str]:
  memory = stage.memory
  rows = [("memory of a device", "GB", "")]
  rows += [(part, _short(size / _GB), "always") for part, size in memory.always.items()]
  for program, parts in memory.programs.items():
    rows += [(part, _short(size / _GB), program) for part, size in parts.items()]
  rows.append(("most at one time", _short(memory.peak / _GB), f"in {memory.busiest}"))
  return _aligned(rows)


def _compiled_lines(stage: StagePlan, compiled: Mapping[str, Compiled]) -> list[str]:
  rows = [("program", "compiled GB", "planned GB")]
  for program, of in compiled.items():
    planned = sum(stage.memory.programs.get(program, {}).values())
    rows.append((program, _short(of.new / _GB), _short(planned / _GB)))
  peak = stage.memory.with_compiled(compiled)
  rows.append(("most at one time", _short(peak / _GB), _short(stage.memory.peak / _GB)))
  return _aligned(rows)


def _verdict(report: Report) -> list[str]:
  plan, device = report.plan, report.plan.request.topology.device
  has = f"{plan.peak / _GB:.2f} GB of the {device.usable / _GB:.1f} GB that a program can use"
  if plan.fits:
    return [f"fits: {has}"]
  lines = [f"does not fit: {has}"]
  lines += [f"  would fit with {flags(overrides)}" for overrides in report.advice]
  if not report.advice:
    lines.append("  nothing that the config can set makes it fit here")
  if report.more is not None:
    count, overrides = report.more
    lines.append(f"  would fit on {count:,} x {device.name} with {flags(overrides)}")
  return lines


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
  widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
  return [
    "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    for row in rows
  ]


def _short(value: float) -> str:
  """Three digits that count."""
  if value == 0 or 0.001 <= abs(value) < 1e5:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
  return f"{value:.2e}"
