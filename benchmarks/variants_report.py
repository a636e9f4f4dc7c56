"""Curves of held-out accuracy -> a table and a picture."""

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence

Curve = Sequence[tuple[int, float]]
Curves = Mapping[tuple[str, int], Curve]
GOAL = 0.8
# Student's t for a two-sided 95 % interval, by degrees of freedom.
_T = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}


@dataclasses.dataclass(frozen=True)
class Row:
  """A preset: its final accuracies by seed, and the steps at which each first reached the goal."""

  name: str
  final: list[float]
  steps: list[int | None]


def summary(curves: Curves) -> list[Row]:
  """One row a preset, the best first."""
  rows = []
  for name in dict.fromkeys(name for name, _ in curves):
    own = [curve for (other, _), curve in curves.items() if other == name]
    steps = [next((s for s, accuracy in curve if accuracy >= GOAL), None) for curve in own]
    rows.append(Row(name, [curve[-1][1] for curve in own], steps))
  return sorted(rows, key=lambda row: -statistics.mean(row.final))


def interval(values: Sequence[float]) -> tuple[float, float]:
  """Mean, and half the width of its 95 % interval by Student's t; NaN for one value."""
  mean, n = statistics.mean(values), len(values)
  if n < 2:
    return mean, math.nan
  return mean, _T.get(n - 1, 1.96) * statistics.stdev(values) / math.sqrt(n)


def table(rows: Sequence[Row]) -> str:
  """Markdown."""
  lines = [
    f"| preset | final accuracy | each seed | steps to {GOAL} |",
    "| --- | --- | --- | --- |",
  ]
  for row in rows:
    each = ", ".join(f"{value:.3f}" for value in row.final)
    lines.append(f"| {row.name} | {plus_minus(row.final, 3)} | {each} | {_steps(row.steps)} |")
  return "\n".join(lines)


def _steps(steps: Sequence[int | None]) -> str:
  reached = [step for step in steps if step is not None]
  if len(reached) < len(steps):
    each = ", ".join("never" if step is None else str(step) for step in steps)
    return f"{len(reached)} of {len(steps)} seeds ({each})"
  return plus_minus([float(step) for step in reached], 0)


def plus_minus(values: Sequence[float], digits: int) -> str:
  """As 0.123 ± 0.045, see `interval`."""
  mean, half = interval(values)
  return f"{mean:.{digits}f} ± {half:.{digits}f}"


def with_each(values: Sequence[float], digits: int) -> str:
  """As 0.12 (0.10, 0.14): of seeds that fall apart, or are few, an interval says less."""
  each = ", ".join(f"{value:.{digits}f}" for value in values)
  return f"{statistics.mean(values):.{digits}f} ({each})"


def picture(rows: Sequence[Row], curves: Curves, path: str) -> None:
  """Left the curves, a panel a preset; right the final accuracy with its interval."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  columns = 4
  height = -(-len(rows) // columns)
  accuracies = [accuracy for curve in curves.values() for _, accuracy in curve]
  limits = (max(min(accuracies) - 0.05, 0), min(max(accuracies) + 0.05, 1))
  figure = pyplot.figure(figsize=(13, 1.9 * height + 0.6), layout="constrained")
  grid = figure.add_gridspec(height, columns + 2)
  for index, row in enumerate(rows):
    axes = figure.add_subplot(grid[index // columns, index % columns])
    for (name, _), curve in curves.items():
      if name == row.name:
        axes.plot(*zip(*curve, strict=True), color="#2266cc", linewidth=1)
    axes.axhline(GOAL, color="#c4cbd3", linewidth=0.8, zorder=0)
    axes.set(ylim=limits)
    axes.set_title(row.name, fontsize=9, loc="left")
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
  last = figure.add_subplot(grid[:, columns:])
  for index, row in enumerate(rows):
    mean, half = interval(row.final)
    last.errorbar(mean, -index, xerr=half, fmt="o", color="#1f2933", markersize=4, capsize=2)
    last.plot(row.final, [-index] * len(row.final), ".", color="#d9720f", markersize=4)
  last.set_yticks([-index for index in range(len(rows))], [row.name for row in rows], fontsize=8)
  last.set_title("final held-out accuracy: seeds, mean, 95 % interval", fontsize=9, loc="left")
  last.spines[["top", "right"]].set_visible(False)
  last.set_xlim(left=max(0.0, last.get_xlim()[0]), right=min(1.05, last.get_xlim()[1]))
  figure.savefig(path, dpi=130)
  pyplot.close(figure)
