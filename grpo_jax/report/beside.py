"""Settings side by side: the main figures of plain runs, seeds as bands, and their own pages."""

import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np

from grpo_jax.report import figures
from grpo_jax.report.found import Found, Setting
from grpo_jax.report.lines import Line, is_number, on_one_axis, series
from grpo_jax.report.thin import envelope, running_mean

PAGE = "report.html"
_PLACES = 200
SMOOTHED = 10  # steps in the running mean
# Figure, and how it is called.
FIGURES = {
  "reward/mean": "Sampled reward",
  "eval/accuracy": "Held-out accuracy",
  "length/mean": "Answer length, tokens",
  "length/truncated": "Share of answers cut",
  "policy/entropy": "Entropy, nats a token",
  "policy/kl_ref": "KL to the reference, nats",
  "policy/kl_old": "KL to the old policy, nats",
  "policy/clip_high": "Tokens clipped above, share",
  "policy/clip_low": "Tokens clipped below, share",
  "groups/no_signal": "Groups without signal, share",
  "train/grad_norm": "Gradient norm",
  "train/lr": "Learning rate",
  "loss/text": "Loss of texts, nats a token",
  "loss/sft": "Loss of solutions",
  "time/tokens_per_s": "Tokens a second",
  "time/step_s": "Seconds a step",
  "memory/peak_gb": "Memory, GB, the most so far",
}
_STEADY = {"eval/accuracy", "train/lr", "memory/peak_gb"}  # as they are: they do not waver


def curves(found: Found) -> dict[str, figures.Figure]:
  """A plotly figure of each of FIGURES that a run has, by its title."""
  colours = figures.chosen(found)
  settings = [one for one in found.settings if one.name in colours and one.folders]
  lines = {one.name: [_lines(folder) for folder in one.folders] for one in settings}
  ends = [line["x"] for runs in lines.values() for run in runs for line in run[-1:]]
  end, made = max(ends, default=0), {}
  for figure, title in FIGURES.items():
    data: list[dict[str, Any]] = []
    for setting in settings:
      own = [_points(run, figure) for run in lines[setting.name]]
      data += _traces(setting, colours[setting.name], [points for points in own if points[0]])
    # What is 0 throughout, as a KL to oneself, is no curve.
    if any(value for trace in data for value in trace["y"]):
      layout = figures.axes("step", "") | {"showlegend": False}
      layout["xaxis"] |= {"range": [0, end]}
      made[title] = {"data": data, "layout": layout}
  return made


def _points(lines: list[Line], figure: str) -> tuple[list[float], list[float]]:
  known = [line for line in lines if is_number(line.get(figure))]
  x, y = series(known, figure)
  if figure in _STEADY:
    return x, y
  # From step to step seeds differ more than a band can show.
  starts = [at for at in range(len(x)) if not at or known[at]["stage"] != known[at - 1]["stage"]]
  return x, running_mean(y, starts, SMOOTHED)


def link(folder: str, start: str) -> tuple[str, str]:
  """How a run is called from `start`, and the address of its page; "" where it has none."""
  name = os.path.relpath(folder, start or ".")
  page = os.path.join(folder, PAGE)
  there = os.path.isfile(page) and os.path.abspath(start) != os.path.abspath(folder)
  return name, urllib.parse.quote(os.path.join(name, PAGE)) if there else ""


def _lines(folder: str) -> list[Line]:
  return on_one_axis(os.path.join(folder, "metrics.jsonl"))[0]


def _traces(
  setting: Setting, colour: str, runs: Sequence[tuple[list[float], list[float]]]
) -> list[dict[str, Any]]:
  """The mean over the runs at places that all of them have, and from the lowest to the highest."""
  if not runs:
    return []
  # A stage's last step and the evaluation before the next one share a place: the later is kept.
  each = [dict(zip(x, y, strict=True)) for x, y in runs]
  shared = sorted(set.intersection(*(set(one) for one in each)))
  if not shared:
    return []
  values = np.array([[one[x] for x in shared] for one in each])
  band = figures.band(setting.name, colour, shared, values) if len(each) > 1 else []
  x, y = envelope(shared, values.mean(0).tolist(), _PLACES)
  line = {
    "type": "scatter", "mode": "lines" if len(x) > 1 else "markers", "name": setting.name,
    "x": x, "y": y, "line": {"color": colour, "width": 2},
    "hovertemplate": f"{figures.quiet(setting.name)}: %{{y:.4g}} at %{{x}}<extra></extra>",
  }  # fmt: skip
  return [*band, line]
