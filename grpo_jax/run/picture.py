"""The learning curve of a run as a picture."""

from typing import Any

from grpo_jax.estimators import wilson
from grpo_jax.report.lines import on_one_axis, series

_INK, _MUTED, _GRID = "#1f2933", "#616e7c", "#e4e7eb"
_BLUE, _ORANGE = "#2266cc", "#d9720f"
# (metric, title) of the small panels
_SMALL = (
  ("length/mean", "answer length, tokens"),
  ("policy/entropy", "entropy, nats a token"),
  ("train/grad_norm", "gradient norm"),
  ("train/lr", "learning rate"),
)
_SMOOTHED = 10  # steps in the running mean
# Stages whose learning rates differ by more than this share a logarithmic axis.
_FAR_APART = 10


def learning_curve(metrics_path: str, out_png: str) -> None:
  """Draws metrics.jsonl: reward and held-out accuracy large, what explains them small.

  Stages stand one after the other on the axis of steps. The bars are 95 % Wilson intervals.

  Raises:
    ImportError: one line that names the extra, where matplotlib is not installed.
  """
  try:
    import matplotlib
  except ImportError as error:
    raise ImportError("no picture: pip install 'grpo_jax[report]'") from error
  matplotlib.use("Agg")
  from matplotlib import pyplot

  lines, boundaries = on_one_axis(metrics_path)
  figure = pyplot.figure(figsize=(10, 6.2), layout="constrained")
  grid = figure.add_gridspec(2, len(_SMALL), height_ratios=[2.2, 1])
  large = figure.add_subplot(grid[0, :])
  _draw_scores(large, lines)
  _draw_stages(large, boundaries, names=True)
  if large.get_legend_handles_labels()[0]:  # outside, where it can cover no curve
    figure.legend(loc="outside upper left", ncols=2, frameon=False, labelcolor=_INK)
  for column, (name, title) in enumerate(_SMALL):
    axes = figure.add_subplot(grid[1, column], xlim=large.get_xlim())
    points = series(lines, name)
    axes.plot(*points, color=_INK, linewidth=1)
    axes.set_title(title, fontsize=9, loc="left", color=_INK)
    if name == "train/lr" and (lowest := _far_apart(lines, name)):
      axes.set_yscale("log")
      axes.set_ylim(bottom=lowest / 100)  # a decay to 0 has no end on this axis
      axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    _draw_stages(axes, boundaries, names=False)
    _quiet(axes)
  figure.savefig(out_png, dpi=130)
  pyplot.close(figure)


def _far_apart(lines: list[dict[str, Any]], name: str) -> float:
  """The lowest of the stages' peaks where they differ a lot, else 0."""
  peaks: dict[str, float] = {}
  for line in lines:
    peaks[line["stage"]] = max(peaks.get(line["stage"], 0.0), line.get(name) or 0.0)
  positive = [peak for peak in peaks.values() if peak > 0]
  return min(positive) if positive and max(positive) > _FAR_APART * min(positive) else 0.0


def _draw_scores(axes: Any, lines: list[dict[str, Any]]) -> None:
  x, rewards = series(lines, "reward/mean")
  if x:
    smooth = _smoothed([line for line in lines if line.get("reward/mean") is not None])
    axes.plot(x, rewards, color=_BLUE, alpha=0.25, linewidth=1)
    axes.plot(
      x, smooth, color=_BLUE, linewidth=2, label=f"sampled reward, mean of {_SMOOTHED} steps"
    )
  x, accuracy = series(lines, "eval/accuracy")
  if x:
    counts = [n.get("eval/problems") for n in lines if n.get("eval/accuracy") is not None]
    ends = [
      wilson(share, count) if count else (share, share)
      for share, count in zip(accuracy, counts, strict=True)
    ]
    down = [max(share - low, 0) for share, (low, _) in zip(accuracy, ends, strict=True)]
    up = [max(high - share, 0) for share, (_, high) in zip(accuracy, ends, strict=True)]
    axes.errorbar(
      x, accuracy, yerr=[down, up], color=_ORANGE, marker="o", capsize=3, linestyle=(0, (2, 3)),
      label="held-out accuracy, greedy, and its 95 % interval",
    )  # fmt: skip
    for place, side, offset in ((0, "right", -8), (-1, "left", 8))[-len(x) :]:
      label, at = f"{accuracy[place]:.2f}", (x[place], accuracy[place])
      style = {"color": _ORANGE, "textcoords": "offset points", "ha": side, "va": "center"}
      axes.annotate(label, at, (offset, 0), **style)
  axes.set_xlabel("step", color=_INK)
  _quiet(axes)


def _draw_stages(axes: Any, boundaries: list[tuple[str, float]], *, names: bool) -> None:
  for name, start in boundaries[: None if len(boundaries) > 1 else 0]:
    axes.axvline(start, color=_MUTED, linewidth=1, linestyle=":")
    if names:
      axes.text(start, 1.01, f" {name}", transform=axes.get_xaxis_transform(), color=_MUTED)


def _quiet(axes: Any) -> None:
  axes.grid(axis="y", color=_GRID, linewidth=0.8)
  axes.tick_params(colors=_MUTED, labelsize=8)
  axes.set_axisbelow(True)
  for side in ("top", "right", "left"):
    axes.spines[side].set_visible(False)
  axes.spines["bottom"].set_color(_GRID)


def _smoothed(lines: list[dict[str, Any]]) -> list[float]:
  """The mean reward of each line and those shortly before it in the same stage."""
  means = []
  for end in range(1, len(lines) + 1):
    near = [
      line["reward/mean"]
      for line in lines[max(0, end - _SMOOTHED) : end]
      if line["stage"] == lines[end - 1]["stage"]
    ]
    means.append(sum(near) / len(near))
  return means
