"""Whether a stage ends before its steps are done, by its held-out figures so far."""

from collections.abc import Sequence

from grpo_jax.config import Stop


def is_over(stop: Stop, values: Sequence[float]) -> bool:
  """The verdict after the last of a stage's evaluations.

  Args:
    stop: see config.Stop.
    values: stop.figure of each evaluation of the stage after steps of its own, in order.
  """
  sign = -1 if stop.lower else 1
  scores = [sign * value for value in values]
  newest = scores[-stop.held :]
  held = len(newest) == stop.held > 0 and all(score >= sign * stop.score for score in newest)
  tired = stop.patience > 0 and len(scores) - 1 - _best(scores) >= stop.patience
  return held or tired


def is_best(stop: Stop, values: Sequence[float]) -> bool:
  """Whether the last of a stage's evaluations is better than all before it; a NaN never is."""
  newest = values[-1]
  return newest == newest and best_at(stop, values) == len(values) - 1


def best_at(stop: Stop, values: Sequence[float]) -> int:
  """Where the best evaluation stands, the first of equals."""
  sign = -1 if stop.lower else 1
  return _best([sign * value for value in values])


def _best(scores: Sequence[float]) -> int:
  """Where the best stands, the first of equals; a NaN is never the best."""
  return max(
    range(len(scores)), default=0, key=lambda at: (scores[at] == scores[at], scores[at], -at)
  )
