"""Figures of answers to held-out problems with their intervals, and how they are shown."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from grpo_jax.estimators import REPLICATES, bootstrap, majority_at_k, pass_at_k, wilson
from grpo_jax.rewards.final import FINAL
from grpo_jax.run import console
from grpo_jax.run.answering import Answered
from grpo_jax.tasks import Example

INTERVALS = (
  f"95 %: Wilson for greedy accuracy; else percentiles of {REPLICATES} bootstraps over problems,"
  " each with all its answers"
)
# Columns of data files that say how hard a problem is.
_DIFFICULTY = ("difficulty", "level")
# What has more values than this is no scale.
_MOST_VALUES = 20
# The final answers to each problem; None of a problem whose reward reads none.
Votes = list[list[Hashable | None] | None]
Figures = dict[str, Any]


def votes_of(
  rewards: Sequence[str], texts: Sequence[Sequence[str]], examples: Sequence[Example]
) -> tuple[Votes, list[str]]:
  """What answers vote for, and a line for each reward that reads no final answer.

  Args:
    rewards: the one that judges each problem. texts: answers to each. examples: the problems.
  """
  votes: Votes = [
    [FINAL[name](text, example.fields) for text in group] if name in FINAL else None
    for name, group, example in zip(rewards, texts, examples, strict=True)
  ]
  lacking = [name for name in dict.fromkeys(rewards) if name not in FINAL]
  return votes, [
    f"no maj@k: the reward {name!r} reads no final answer that could be voted on"
    for name in lacking
  ]


def groups_of(examples: Sequence[Example]) -> dict[str, list[int]]:
  """Rows of the problems by task, by level of a curriculum, by a column on their difficulty.

  Only what divides the problems is named.
  """
  found: dict[str, dict[str, list[int]]] = {}
  for row, example in enumerate(examples):
    for what, value in _marks(example):
      found.setdefault(what, {}).setdefault(value, []).append(row)
  return {
    f"{what} {value}": rows
    for what, values in found.items()
    if 1 < len(values) <= _MOST_VALUES
    for value, rows in sorted(values.items(), key=lambda item: _in_order(item[0]))
  }


def _marks(example: Example) -> list[tuple[str, str]]:
  marks = [("task", example.task)] if example.task else []
  if example.level is not None:
    marks.append((f"{example.task} level".strip(), str(example.level)))
  for name in _DIFFICULTY:
    value = example.fields.get(name)
    if isinstance(value, str | int) and not isinstance(value, bool):
      marks.append((name, console.shown(str(value), 40)))
  return marks


def _in_order(value: str) -> tuple[float, str]:
  """Numbers by their size, before words."""
  return (int(value), "") if value.isdecimal() else (float("inf"), value)


def figures_of(
  greedy: Answered, sampled: Answered | None, votes: Votes | None, ks: Sequence[int], seed: int
) -> Callable[[Sequence[int]], Figures]:
  """Builds rows -> the figures of these problems, each with value, low and high, or a number alone.

  greedy/accuracy; with n samples mean@n, pass@k, and maj@k where all of the rows have votes.
  length, truncated and unscored are of tokens, and shares of answers.

  Args:
    greedy: one answer to each problem. sampled: n to each, if there are.
    votes: as of `votes_of`. ks: of pass@k and maj@k. seed: of the intervals.
  """
  names, values = _each_problem(sampled, votes, ks)

  def figures(rows: Sequence[int]) -> Figures:
    own = list(rows)
    share = float(greedy.right[own].mean())
    low, high = wilson(share, len(own))
    found: Figures = {"problems": len(own), "greedy/accuracy": _figure(share, low, high)}
    found |= _plain("greedy", greedy, own)
    if sampled is None:
      return found
    here = values[:, own]
    kept = [at for at in range(len(names)) if not np.isnan(here[at]).any()]
    ends = bootstrap(here[kept], seed)
    for at, (low, high) in zip(kept, ends.tolist(), strict=True):
      found[names[at]] = _figure(float(here[at].mean()), low, high)
    return found | _plain("sampled", sampled, own)

  return figures


def _each_problem(
  sampled: Answered | None, votes: Votes | None, ks: Sequence[int]
) -> tuple[list[str], np.ndarray]:
  """Names of the figures of samples, and each problem's share in them f64[F,N], NaN for none."""
  if sampled is None:
    return [], np.zeros((0, 0))
  right = sampled.right
  n, count = right.shape[1], right.sum(axis=1)
  found = {f"mean@{n}": count / n}
  found |= {f"pass@{k}": pass_at_k(n, count, k) for k in ks}
  if votes is not None and any(own is not None for own in votes):
    for k in ks:
      found[f"maj@{k}"] = np.array(
        [
          np.nan if own is None else majority_at_k(own, good, k)
          for own, good in zip(votes, right.tolist(), strict=True)
        ]
      )
  return list(found), np.stack(list(found.values()))


def _plain(name: str, answers: Answered, rows: list[int]) -> Figures:
  return {
    f"{name}/length": float(answers.lengths[rows].mean()),
    f"{name}/truncated": 1 - float(answers.finished[rows].mean()),
    f"{name}/unscored": float(np.isnan(answers.scores[rows]).mean()),
  }


def _figure(value: float, low: float, high: float) -> dict[str, float]:
  return {"value": value, "low": low, "high": high}


def table(report: dict[str, Any]) -> list[str]:
  """The report's figures as lines: a column for all problems, one for each group."""
  columns = {"all": report["figures"], **report["groups"]}
  if len(columns) > 1:
    columns = {f"{name} ({own['problems']})": own for name, own in columns.items()}
  names = [name for name, value in report["figures"].items() if isinstance(value, dict)]
  names += [name for own in columns.values() for name in own if isinstance(own[name], dict)]
  names = list(dict.fromkeys(names))
  head = max(map(len, names)) + 2
  widths = [max(len(name), len("0.000 [0.000, 0.000]")) for name in columns]
  lines = [
    f"{_who(report)}: {report['figures']['problems']} held-out problems, {_how(report)}",
    " " * head + "  ".join(f"{n:>{w}}" for n, w in zip(columns, widths, strict=True)),
  ]
  for name in names:
    cells = [_cell(own.get(name)) for own in columns.values()]
    lines.append(
      f"{name:<{head}}" + "  ".join(f"{c:>{w}}" for c, w in zip(cells, widths, strict=True))
    )
  for kind in ("greedy", "sampled"):
    own = report["figures"]
    if f"{kind}/length" in own:
      lines.append(
        f"{kind}: {own[f'{kind}/length']:.1f} tokens an answer, {own[f'{kind}/truncated']:.3f} cut"
        f" off, {own[f'{kind}/unscored']:.3f} without a score"
      )
  return [*lines, *report["notes"], f"intervals: {report['intervals']}"]


def _who(report: dict[str, Any]) -> str:
  if not report["workdir"]:
    return f"{report['weights'] or 'the model from scratch'} before any training"
  stage = f" ({report['stage']})" if report["stage"] else ""
  return f"checkpoint {report['checkpoint']}{stage} of {report['workdir']}"


def _how(report: dict[str, Any]) -> str:
  (task,) = report["task"]
  own = report["sampling"]
  said = f"{task}, judged by {report['reward']!r}"
  if own["samples"]:
    filters = ("temperature", "top_k", "top_p", "min_p")
    said += f", {own['samples']} samples each at " + ", ".join(f"{n} {own[n]:g}" for n in filters)
  return f"{said}, seed {own['seed']}"


def _cell(figure: dict[str, float] | None) -> str:
  if figure is None:
    return "-"
  return f"{figure['value']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}]"
