"""The curves of a run: which there are, and their points."""

import re
from collections.abc import Sequence
from typing import Any

from grpo_jax.estimators import wilson
from grpo_jax.report.lines import Line, is_number, series
from grpo_jax.report.thin import envelope, running_mean

Panel = dict[str, Any]
_PLACES = 400  # stretches of a long curve, each with its least and its greatest
_LEAST_SMOOTHED, _SMOOTHED_SHARE = 10, 50
_DIGITS = 5
_APART = 30  # from here on the largest and the middle value need a logarithm

# Title, unit, figures. A figure that a run has not is left out, and a panel without any too.
FIXED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
  ("Answer length", "tokens", ("length/mean", "length/max", "eval/length")),
  ("Cut answers", "share", ("length/truncated", "eval/truncated")),
  ("Entropy", "nats a token", ("policy/entropy",)),
  ("KL", "nats a token", ("policy/kl_ref", "policy/kl_old", "policy/kl_old_last")),
  ("Clipped tokens", "share", ("policy/clip_low", "policy/clip_high")),
  ("Groups", "share", ("groups/no_signal", "groups/all_right", "groups/all_wrong")),
  ("Gradient norm", "before clipping", ("train/grad_norm", "critic/grad_norm")),
  ("Learning rate", "", ("train/lr", "critic/lr")),
  ("Updates left out", "share", ("train/skipped", "train/nonfinite", "train/spike")),
  ("Sampler and trainer", "log-prob a token", ("mismatch/log_mean", "mismatch/log_max")),
  ("Critic", "explained variance", ("value/explained_variance",)),
  ("Episodes", "turns", ("episode/turns",)),
  ("Curriculum", "level", ("task/level",)),
  (
    "Speed",
    "tokens a second",
    ("time/tokens_per_s", "time/rollout_tokens_per_s", "time/update_tokens_per_s"),
  ),
  ("Seconds of a step", "s", ("time/rollout_s", "time/reward_s", "time/update_s", "time/step_s")),
  ("Memory", "GB, the most so far", ("memory/peak_gb",)),
)
_UNEVEN = {"Gradient norm", "Learning rate", "Seconds of a step"}  # may need a logarithm
# As they are: what does not waver from step to step.
_SMOOTH = {"Learning rate", "Memory", "Curriculum", "Updates left out"}
_SUMS = re.compile(r"reward/(mean|std|unscored|failed/.*|correlation/.*|.*/weighted)")
_SHARES = re.compile(r"eval/(accuracy|problems|length|truncated|unscored|loss|perplexity)")


def panels(lines: Sequence[Line], figure: str = "eval/accuracy") -> tuple[list[Panel], list[str]]:
  """The panels of a run, the large one first, and the figures of those that are left out.

  A panel has a title, a unit, whether its axis is logarithmic, and series: each with a name,
  places x and values y, and where they are known the ends low and high of an interval. What wavers
  is there twice: each step, faint, and the running mean. A panel of nothing but 0 is left out.

  Args:
    lines: with their places, of `lines.on_one_axis`.
    figure: the held-out score of the large one.
  """
  known = sorted({name for line in lines for name, value in line.items() if is_number(value)})
  parts = [name for name in known if name.startswith("reward/") and not _SUMS.fullmatch(name)]
  scores = [name for name in known if name.startswith("eval/") and not _SHARES.fullmatch(name)]
  losses = [name for name in known if name.startswith("loss/")]
  losses += [name for name in ("value/loss", "eval/loss") if name in known]
  rows: list[tuple[str, str, Sequence[str]]] = [
    ("Rewards, each by itself", "", parts if len(parts) > 1 else []),
    ("Held-out scores", "", [name for name in scores if name != figure]),
    ("Loss", "", losses),
    *FIXED,
  ]
  drawn, zeros = [_scores(lines, figure)], []
  for title, unit, names in rows:
    panel = _panel(lines, title, unit, names)
    if _worth(panel):
      drawn.append(panel)
    else:
      zeros += [name for name in names if name in known]
  return drawn, zeros


def _scores(lines: Sequence[Line], figure: str) -> Panel:
  """Sampled reward, its running mean, and the held-out score with its interval."""
  found = []
  rewarded = [line for line in lines if is_number(line.get("reward/mean"))]
  if rewarded:
    found += _wavering("sampled reward", rewarded, "reward/mean", 0)
  judged = [line for line in lines if is_number(line.get(figure))]
  if judged:
    x, y = series(judged, figure)
    found.append(_series(_label(figure), x, y, 1) | _intervals(judged, figure) | {"points": True})
  title = "Sampled reward and held-out score"
  return {"title": title, "unit": "", "log": False, "series": found}


def _intervals(lines: Sequence[Line], figure: str) -> dict[str, list[float]]:
  """Wilson's, of a share of a known number of problems."""
  counts: list[Any] = [line.get("eval/problems") for line in lines]
  shares = [line[figure] for line in lines]
  if figure != "eval/accuracy" or not all(is_number(n) and n >= 1 for n in counts):
    return {}
  if not all(0 <= share <= 1 for share in shares):
    return {}
  ends = [wilson(share, n) for share, n in zip(shares, counts, strict=True)]
  low, high = zip(*ends, strict=True)
  return {"low": _short(low), "high": _short(high)}


def _panel(lines: Sequence[Line], title: str, unit: str, names: Sequence[str]) -> Panel:
  found = []
  for colour, name in enumerate(names):
    known = [line for line in lines if is_number(line.get(name))]
    if known and (name.startswith("eval/") or title in _SMOOTH):
      points = {"points": True} if name.startswith("eval/") else {}
      x, y = series(known, name)
      found.append(_series(_label(name), *envelope(x, y, _PLACES), colour) | points)
    elif known:
      found += _wavering(name, known, name, colour)
  values = [value for one in found for value in one["y"]]
  logarithmic = title in _UNEVEN and _far_apart(values)
  return {"title": title, "unit": unit, "log": logarithmic, "series": found}


def _far_apart(values: Sequence[float]) -> bool:
  positive = sorted(value for value in values if value > 0)
  return bool(positive) and positive[-1] > _APART * positive[len(positive) // 2]


def _worth(panel: Panel) -> bool:
  values = [value for one in panel["series"] for value in one["y"]]
  return any(values)


def _wavering(name: str, lines: Sequence[Line], figure: str, colour: int) -> list[dict[str, Any]]:
  """Each step, faint, and the mean of those near it; of a short run the steps alone."""
  x, y = series(list(lines), figure)
  width = max(_LEAST_SMOOTHED, len(x) // _SMOOTHED_SHARE)
  whole = _series(name, *envelope(x, y, _PLACES), colour)
  if len(x) <= 2 * width:
    return [whole]
  starts = [at for at in range(len(x)) if not at or lines[at]["stage"] != lines[at - 1]["stage"]]
  if figure.startswith("time/"):  # what compiles is no part of the mean of others
    starts += [at + _alike(y[at:]) for at in starts]
  mean = running_mean(y, starts, width)
  named = _series(name, *envelope(x, mean, _PLACES), colour)
  return [whole | {"faint": True}, named]


def _alike(values: Sequence[float]) -> int:
  """How many are as the first: of steps of one program each has its share of the seconds."""
  return next((at for at, value in enumerate(values) if value != values[0]), len(values))


def _series(name: str, x: Sequence[float], y: Sequence[float], colour: int) -> dict[str, Any]:
  return {"name": name, "x": list(x), "y": _short(y), "colour": colour}


def _short(values: Sequence[float]) -> list[float]:
  return [float(f"{value:.{_DIGITS}g}") for value in values]


def _label(figure: str) -> str:
  return {"eval/accuracy": "held-out accuracy, 95 % interval"}.get(figure, figure)
