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
# Of the axis: more is no longer the same language.
_MOST_KL = 6
# (figure, label, colour)
_DRAWN = (
  ("eval/stage:reward_model", "learned reward, held out", "#2266cc"),
  ("eval/accuracy", "gold score, held out", "#d9720f"),
)


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  found = runs.run_all(_CONFIG, overoptimisation.NAMES, 1, _ROOT)
  own = {name: _rl(of) for (name, _), of in found.items()}
  for name, of in own.items():
    print(f"{name}: {summary(of)}")
  picture(own, os.path.join(_ROOT, "overoptimisation.png"))


def _rl(of: runs.Lines) -> runs.Lines:
  """The lines of the RL stage, and before them the last evaluation of the policy it began as."""
  before = [line for line in of if line["stage"] == "sft" and "eval/accuracy" in line]
  return [{"step": 0, "eval/accuracy": before[-1]["eval/accuracy"]}] + [
    line for line in of if line["stage"] == "rl"
  ]


def summary(of: runs.Lines) -> str:
  """Where the held-out gold score was best, and how all ended."""
  gold, learned = (dict(runs.curve(of, key)) for key, *_ in reversed(_DRAWN))
  kl = dict(runs.curve(of, "policy/kl_ref"))
  best, last = max(gold, key=lambda step: gold[step]), max(gold)
  return "; ".join(
    f"{when} (step {step}, KL {kl.get(step, 0):.2f})"
    f" gold {gold[step]:.3f}, learned {learned.get(step, float('nan')):.2f}"
    for when, step in (("at first", min(gold)), ("at its best", best), ("at the end", last))
  )


def picture(own: dict[str, runs.Lines], path: str) -> None:
  """A panel a run: scores to the left, the KL to the right; a ring where gold was best."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  figure, axes = pyplot.subplots(
    1, len(own), figsize=(13, 4), sharex=True, sharey=True, squeeze=False, layout="constrained"
  )
  for panel, (name, of) in zip(axes[0], own.items(), strict=True):
    for key, label, color in _DRAWN:
      panel.plot(*zip(*runs.curve(of, key), strict=True), color=color, label=label)
    best = max(runs.curve(of), key=lambda point: point[1])
    panel.plot(*best, marker="o", markersize=10, fillstyle="none", color=_DRAWN[1][2])
    right = panel.twinx()
    right.plot(
      *zip(*runs.curve(of, "policy/kl_ref"), strict=True),
      color="#616e7c", linestyle=":", label="KL to the start",
    )  # fmt: skip
    right.set_ylim(0, _MOST_KL)
    right.set_ylabel("KL, nats a token (dotted)", color="#616e7c")
    panel.set_title(name, fontsize=10, loc="left")
    panel.set_xlabel("step of the RL stage")
    panel.grid(axis="y", color="#e4e7eb")
  axes[0][0].legend(frameon=False, fontsize=8)
  figure.savefig(path, dpi=110)


if __name__ == "__main__":
  app.run(main)
