"""Staged, composite or mixed rewards, with several seeds: a table and a picture.

make strategies, or: python -m benchmarks.strategies [--seeds=3] [--jobs=2] [--names=gdpo,mixed]

Each run is a command of its own in runs/strategies/NAME-SEED, on one core; runs that are complete
are not run again. Writes runs/strategies/strategies.png and prints the table.
"""

import os

from absl import app, flags

from benchmarks import runs
from benchmarks.variants_report import plus_minus
from experiments.configs import reward_strategies

_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each strategy.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", os.cpu_count(), "Runs at one time.", lower_bound=1)
_NAMES = flags.DEFINE_list("names", list(reward_strategies.STRATEGIES), "Which strategies.")
_CONFIG = os.path.join("experiments", "configs", "reward_strategies.py")
_ROOT = os.path.dirname(reward_strategies.WARM_START)
_A = "eval/accuracy"
_B = "eval/experiments/configs/reward_strategies.py:padded"


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  runs.warm_start(_CONFIG, reward_strategies.WARM_START)
  found = runs.run_all(_CONFIG, _NAMES.value, _SEEDS.value, _ROOT, jobs=_JOBS.value)
  print(table(found))
  picture(found, os.path.join(_ROOT, "strategies.png"))


def table(found: dict[tuple[str, int], runs.Lines]) -> str:
  """Markdown: final A and B, what is both, and how far A fell from its best."""
  rows = [
    "| strategy | A: right | B: style | the less of the two | A lost since its best |",
    "| --- | --- | --- | --- | --- |",
  ]
  order = []
  for name in dict.fromkeys(name for name, _ in found):
    own = [of for (other, _), of in found.items() if other == name]
    a, b = ([_values(of, figure) for of in own] for figure in (_A, _B))
    last = [(x[-1], y[-1]) for x, y in zip(a, b, strict=True)]
    less = [min(pair) for pair in last]
    lost = [max(values) - values[-1] for values in a]
    cells = [[x for x, _ in last], [y for _, y in last], less, lost]
    order.append((-sum(less), f"| {name} | {' | '.join(plus_minus(c, 3) for c in cells)} |"))
  return "\n".join([*rows, *(row for _, row in sorted(order))])


def _values(of: runs.Lines, figure: str) -> list[float]:
  return [value for _, value in runs.curve(of, figure)]


def picture(found: dict[tuple[str, int], runs.Lines], path: str) -> None:
  """A panel a strategy: held-out A and B along the steps, a line a seed."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  names = list(dict.fromkeys(name for name, _ in found))
  figure, axes = pyplot.subplots(
    2, -(-len(names) // 2), figsize=(12, 5), sharex=True, sharey=True, layout="constrained"
  )
  for panel, name in zip(axes.flat, names, strict=False):
    for (other, seed), of in found.items():
      if other != name:
        continue
      for key, color, label in _DRAWN:
        values = _values(of, key)
        steps = [10 * place for place in range(len(values))]
        panel.plot(steps, values, color=color, alpha=0.8, label=label if seed == 0 else None)
    panel.set_title(name, fontsize=10, loc="left")
    panel.set_ylim(0, 1.02)
    panel.grid(axis="y", color="#e4e7eb")
  axes.flat[0].legend(frameon=False)
  figure.supxlabel("step")
  figure.savefig(path, dpi=110)


_DRAWN = ((_A, "#2266cc", "A: right"), (_B, "#d9720f", "B: style"))


if __name__ == "__main__":
  app.run(main)
