"""What a sweep says: a line an event, and the best at the end."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from grpo_jax.sweep.evaluation import Ended

_BEST = 5


def ranked(study: Any) -> list[Any]:
  """Completed trials, the best first."""
  done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
  return sorted(done, key=lambda t: t.value, reverse=study.direction.name == "MAXIMIZE")


def score(trial: Any) -> str:
  """A completed trial's value, with half of its interval."""
  interval = trial.user_attrs.get("interval")
  half = f" ± {(interval[1] - interval[0]) / 2:.2g}" if interval else ""
  return f"{trial.value:.4g}{half}"


def event_line(study: Any, event: Ended, finished: int, limit: int | None) -> str:
  """The end of a trial in one line."""
  trial = study.trials[event.number]
  count = f"{finished} of {limit}" if limit is not None else f"{finished}"
  if event.reason:
    return f"trial {event.number} failed: {event.reason}, {count}"
  if event.pruned:
    step = trial.last_step
    value = trial.intermediate_values.get(step, float("nan"))
    return f"trial {event.number} pruned at step {step} with {value:.4g}, {count}"
  if trial.value is None:
    return f"trial {event.number} done, but another worker had given it up, {count}"
  best = ranked(study)[0]
  beside = f"(best {best.value:.4g}, trial {best.number})"
  return f"trial {event.number} done {score(trial)} {beside}, {count}"


def short_names(paths: Sequence[str]) -> dict[str, str]:
  """The last part of each path, or more where two would be alike."""
  names = {}
  for path in paths:
    parts = path.split(".")
    for count in range(1, len(parts) + 1):
      names[path] = ".".join(parts[-count:])
      if sum(other == names[path] or other.endswith(f".{names[path]}") for other in paths) == 1:
        break
  return names


def point(values: dict[str, Any]) -> str:
  """A trial's fields in one line."""
  names = short_names(list(values))
  return " ".join(f"{names[path]}={_text(value)}" for path, value in values.items())


def table(study: Any, objective: str) -> list[str]:
  """The best few with their fields."""
  best = ranked(study)[:_BEST]
  paths = list(dict.fromkeys(path for t in best for path in t.user_attrs["values"]))
  names = short_names(paths)
  rows = [["trial", objective, *(names[path] for path in paths)]]
  for trial in best:
    values = trial.user_attrs["values"]
    rows.append([str(trial.number), score(trial), *(_text(values.get(path, "")) for path in paths)])
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  return ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]


def failures(trials: Sequence[Any]) -> list[str]:
  """The first few that failed, with their reasons."""
  failed = [t for t in trials if t.state.name == "FAIL"]
  lines = [f"trial {t.number} failed: {t.user_attrs.get('reason', 'unknown')}" for t in failed]
  return lines[:_BEST] + [f"and {len(lines) - _BEST} more that failed"] * (len(lines) > _BEST)


def common_reason(trials: Sequence[Any]) -> str:
  """Why most of the failed trials failed."""
  reasons = Counter(t.user_attrs.get("reason", "unknown") for t in trials)
  reason, count = reasons.most_common(1)[0]
  return reason if count == len(trials) else f"{reason} ({count} of {len(trials)})"


def _text(value: Any) -> str:
  return f"{value:.4g}" if isinstance(value, float) else str(value)
