"""Learned reward against gold score along a run, with the KL: a picture.

make overoptimisation, or: python -m benchmarks.overoptimisation

Each run is a command of its own in runs/overoptimisation/NAME-0; runs that are complete are not run
again. Writes runs/overoptimisation/overoptimisation.png and prints where gold was best.
"""

import os

from absl import app

from benchmarks import runs
from experiments.configs import overoptimisation

_CONFIG = os.path.join("experiments", "configs", "overoptimisation.py")
_ROOT = os.path.join("runs", "overoptimisation")
_SMOOTHED = 10
# (figure, label, colour)
_DRAWN = (
  ("reward/stage:reward_model", "learned reward of what is sampled", "#2266cc"),
  ("reward/gold", "gold score of what is sampled", "#d9720f"),
  ("eval/accuracy", "gold score, held out, greedy", "#8a4b08"),
)


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  found = runs.run_all(_CONFIG, overoptimisation.NAMES, 1, _ROOT)
  own = {n: [line for line in of if line["stage"] == "rl"] for (n, _), of in found.items()}
  for name, of in own.items():
    print(f"{name}: {summary(of)}")
  picture(own, os.path.join(_ROOT, "overoptimisation.png"))


def summary(of: runs.Lines) -> str:
  """Where the held-out gold score was best, and how both ended."""
  gold = runs.curve(of, "eval/accuracy")
  step, best = max(gold, key=lambda point: point[1])
  learned = _smoothed(runs.curve(of, "reward/stage:reward_model"))
  kl = dict(runs.curve(of, "policy/kl_ref"))
  return (
    f"gold {best:.3f} at step {step} (KL {kl[step]:.2f}), {gold[-1][1]:.3f} at the end, step"
    f" {gold[-1][0]} (KL {kl[gold[-1][0]]:.2f}); learned reward {learned[0][1]:.2f} ->"
    f" {learned[-1][1]:.2f}"
  )


def _smoothed(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
  """The mean of each point and those shortly before it."""
  return [
    (points[end][0], sum(y for _, y in near) / len(near))
    for end in range(len(points))
    for near in [points[max(0, end + 1 - _SMOOTHED) : end + 1]]
  ]


def picture(own: dict[str, runs.Lines], path: str) -> None:
  """A panel a run: rewards to the left, the KL to the right."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(
    1, len(own), figsize=(11, 4), sharex=True, sharey=True, squeeze=False, layout="constrained"
  )
  for panel, (name, of) in zip(axes[0], own.items(), strict=True):
    for key, label, color in _DRAWN:
      points = runs.curve(of, key)
      points = points if key.startswith("eval") else _smoothed(points)
      panel.plot(*zip(*points, strict=True), color=color, label=label)
    right = panel.twinx()
    kl = _smoothed(runs.curve(of, "policy/kl_ref"))
    right.plot(*zip(*kl, strict=True), color="#616e7c", linestyle=":", label="KL to the start")
    right.set_ylim(bottom=0)
    right.set_ylabel("KL, nats a token", color="#616e7c")
    panel.set_title(name, fontsize=10, loc="left")
    panel.set_xlabel("step of the RL stage")
    panel.grid(axis="y", color="#e4e7eb")
  axes[0][0].legend(frameon=False, fontsize=8)
  figure.savefig(path, dpi=110)


if __name__ == "__main__":
  app.run(main)
