"""Presets with 32 seeds each, every preset one program: a table, a picture, and what seeds decide.

make seeds, or: python -m benchmarks.seed_variance [--presets=grpo,dapo]

Runs that are complete are not run again. Writes runs/seeds/seeds.png and prints the tables.
"""

import itertools
import json
import math
import os
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from absl import app, flags

from benchmarks import runs
from experiments.configs import variants
from grpo_jax import config
from grpo_jax.report.interval import half_width

_PRESETS = flags.DEFINE_list("presets", ["grpo", "dr_grpo", "dapo", "maxrl"], "Which presets.")
_CONFIG = os.path.join("experiments", "configs", "seed_variance.py")
_ROOT = os.path.join("runs", "seeds")
_DIFFERENCES = (0.005, 0.01, 0.02, 0.05)
# Of a two-sided test at 5 % that finds a difference with 80 %: (1.960 + 0.842)^2.
_POWER = 7.849


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  runs.warm_start(_CONFIG, variants.WARM_START)
  found = {}
  for name in _PRESETS.value:
    config.preset(name)
    folder = os.path.join(_ROOT, name)
    runs.train(_CONFIG, name, folder, one_core=False)
    found[name] = finals(folder)
  print(table(found))
  print(needed(found))
  picture(found, os.path.join(_ROOT, "seeds.png"))


def finals(folder: str) -> list[float]:
  """The last held-out accuracy of each member."""
  with open(os.path.join(folder, "population.json"), encoding="utf-8") as file:
    members = json.load(file)
  return [member["figures"]["accuracy/after"] for member in members if not member["reason"]]


def interval(values: Sequence[float]) -> tuple[float, float]:
  """Mean and half of its 95 % interval, by Student's t."""
  return statistics.mean(values), half_width(values) or math.nan


def table(found: Mapping[str, Sequence[float]]) -> str:
  """Markdown: each preset's mean with its interval, spread, and extremes."""
  lines = [
    "| preset | seeds | mean | std | lowest | highest |",
    "| --- | --- | --- | --- | --- | --- |",
  ]
  for name, values in sorted(found.items(), key=lambda item: -statistics.mean(item[1])):
    mean, half = interval(values)
    lines.append(
      f"| {name} | {len(values)} | {mean:.3f} ± {half:.3f} | {statistics.stdev(values):.3f} |"
      f" {min(values):.3f} | {max(values):.3f} |"
    )
  return "\n".join(lines)


def seeds_for(std: float, difference: float) -> int:
  """Seeds of each side: n = 2 (z_.975 + z_.8)^2 std^2 / difference^2, at least 2."""
  return max(math.ceil(2 * _POWER * (std / difference) ** 2), 2)


def misordered(
  left: Sequence[float], right: Sequence[float], seeds: int, draws: int = 4000
) -> float:
  """How often the means of `seeds` random seeds of each have the other order than all seeds'."""
  rng = np.random.default_rng(0)
  means = [rng.choice(values, (draws, seeds)).mean(axis=1) for values in (left, right)]
  truth = np.sign(np.mean(left) - np.mean(right))
  return float(np.mean(np.sign(means[0] - means[1]) != truth))


def needed(found: Mapping[str, Sequence[float]]) -> str:
  """Markdown: seeds that a claim of a size needs, and how often few seeds mislead."""
  std = math.sqrt(statistics.mean(statistics.variance(values) for values in found.values()))
  lines = [
    f"Pooled std {std:.3f}. Seeds of each side that find a difference in 80 % of tests at 5 %:",
    "",
    "| difference | " + " | ".join(f"{d:g}" for d in _DIFFERENCES) + " |",
    "| --- |" + " --- |" * len(_DIFFERENCES),
    "| seeds | " + " | ".join(str(seeds_for(std, d)) for d in _DIFFERENCES) + " |",
    "",
    "| pair | difference of 32 seeds | wrong order with 1 seed | 3 seeds | 8 seeds |",
    "| --- | --- | --- | --- | --- |",
  ]
  for (a, left), (b, right) in itertools.combinations(found.items(), 2):
    gap = statistics.mean(left) - statistics.mean(right)
    shares = " | ".join(f"{misordered(left, right, n):.2f}" for n in (1, 3, 8))
    lines.append(f"| {a}, {b} | {gap:+.3f} | {shares} |")
  return "\n".join(lines)


def picture(found: Mapping[str, Sequence[float]], path: str) -> None:
  """Every seed's final accuracy, with the mean and its interval."""
  from matplotlib.figure import Figure

  figure = Figure(figsize=(8, 4), layout="constrained")
  axes = figure.add_subplot()
  ordered = sorted(found.items(), key=lambda item: statistics.mean(item[1]))
  for row, (_, values) in enumerate(ordered):
    spread = np.random.default_rng(row).uniform(-0.15, 0.15, len(values))
    axes.plot(values, row + spread, "o", color="0.6", markersize=4)
    mean, half = interval(values)
    axes.errorbar([mean], [row], xerr=[half], fmt="D", color="C0", capsize=4)
  axes.set_yticks(range(len(ordered)), labels=[name for name, _ in ordered])
  axes.set(xlabel="held-out accuracy at the end: each seed, and the mean with 95 %")
  figure.savefig(path, dpi=120)


if __name__ == "__main__":
  app.run(main)
