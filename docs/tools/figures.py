"""Draws the pictures of docs/grpo.md: python docs/tools/figures.py [FOLDER]."""

import os
import sys

import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib import pyplot

from grpo_jax.config import LossConfig
from grpo_jax.grouping import group_advantages
from grpo_jax.losses.surrogate import clipped_surrogate
from grpo_jax.sampling import filter_logits
from grpo_jax.schedules import cosine_with_floor

_HERE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "figures")
_BLUE, _RED, _GREY = "#3f51b5", "#c62828", "#90a4ae"
# Text as paths would be four times the size; no date and a fixed salt: the same file each time.
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "grpo_jax", "font.size": 11}


def group(axes) -> None:
  """Advantages of right and wrong answers by how many of eight are right."""
  right = np.arange(1, 8)
  rewards = jnp.array([[1.0] * k + [0.0] * (8 - k) for k in right])
  advantages = np.asarray(group_advantages(rewards))
  axes.bar(right - 0.2, advantages[:, 0], 0.4, color=_BLUE, label="a right answer")
  axes.bar(right + 0.2, advantages[:, -1], 0.4, color=_RED, label="a wrong answer")
  axes.axhline(0, color="black", linewidth=0.8)
  axes.set(xlabel="right answers of 8", ylabel="advantage")


def clip(axes) -> None:
  """The clipped surrogate by the ratio, for a good and a bad answer."""
  ratio = jnp.linspace(0.4, 1.7, 261)
  for advantage, colour in ((1.0, _BLUE), (-1.0, _RED)):
    loss, cut = (np.asarray(x) for x in clipped_surrogate(ratio, advantage, LossConfig()))
    axes.plot(ratio, np.where(cut, np.nan, loss), color=colour, label=f"A = {advantage:+.0f}")
    axes.plot(ratio, np.where(cut, loss, np.nan), color=colour, linestyle=":")
  axes.axvspan(0.8, 1.2, color=_GREY, alpha=0.25, label="clip range")
  axes.set(xlabel="ratio (dotted: no gradient)", ylabel="loss of a token")


def schedule(axes) -> None:
  """A cosine to a floor beside one to zero."""
  steps = np.arange(0, 131)
  for floor, colour, label in ((3e-5, _BLUE, "min_lr = lr / 10"), (0.0, _RED, "min_lr = 0")):
    rate = cosine_with_floor(peak=3e-4, floor=floor, decay_steps=100, warmup_steps=10)
    axes.plot(steps, [float(rate(step)) * 1e4 for step in steps], color=colour, label=label)
  axes.axvline(100, color=_GREY, linewidth=0.8)
  axes.set(xlabel="update (decay_steps = 100)", ylabel="learning rate / 1e-4")


def sampling(axes) -> None:
  """Five tokens under each setting."""
  logits = jnp.log(jnp.array([0.45, 0.25, 0.15, 0.1, 0.05]))
  settings = {
    "T = 1": {},
    "T = 0": {"temperature": 0.0},
    "T = 0.5": {"temperature": 0.5},
    "T = 2": {"temperature": 2.0},
    "top_p = 0.8": {"top_p": 0.8},
    "top_k = 2": {"top_k": 2},
  }
  for index, setting in enumerate(settings.values()):
    weights = np.exp(np.asarray(filter_logits(logits, **setting)))
    bars = index + (np.arange(5) - 2) * 0.16
    axes.bar(bars, weights / weights.sum(), 0.14, color=[_BLUE] * 2 + ["#7986cb"] * 2 + [_GREY])
  axes.set(ylabel="probability", xticks=range(len(settings)))
  axes.set_xticklabels(list(settings))


FIGURES = {"group": group, "clip": clip, "schedule": schedule, "sampling": sampling}


def draw(folder: str) -> None:
  """Writes each figure as FOLDER/NAME.svg."""
  matplotlib.use("Agg")
  with matplotlib.rc_context(_STYLE):
    for name, drawn in FIGURES.items():
      figure, axes = pyplot.subplots(figsize=(6.4, 3.2), layout="constrained")
      drawn(axes)
      axes.spines[["top", "right"]].set_visible(False)
      if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
      figure.savefig(os.path.join(folder, f"{name}.svg"), metadata={"Date": None})
      pyplot.close(figure)


if __name__ == "__main__":
  draw(sys.argv[1] if len(sys.argv) > 1 else _HERE)
