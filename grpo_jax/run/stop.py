"""Whether a stage ends before its steps are done, by its held-out figures so far."""

from collections.abc import Sequence

from grpo_jax.config import Stop


def is_over(stop: Stop, values: Sequence[float]) -> bool:
  """The verdict after the last of a stage's evaluations.

  Args:
    stop: see config.Stop.
    values: stop.figure of each evaluation of the stage, in order; the one before its first step is
      among them where there is one.
  """
  sign = -1 if stop.lower else 1
  scores = [sign * value for value in values]
  if stop.held and len(scores) >= stop.held:
    if all(score >= sign * stop.score for score in scores[-stop.held :]):
      return True
  return bool(stop.patience and scores) and len(scores) - 1 - _best(scores) >= stop.patience


def _best(scores: Sequence[float]) -> int:
  """Where the best stands, the first of equals; a NaN is never the best."""
  return max(range(len(scores)), key=lambda at: (scores[at] == scores[at], scores[at], -at))
