"""How fast steps are taken now: the first step compiles, and says nothing of those to come."""

import collections
import math

# Points are so many seconds apart at least: steps of one program are told of all at once.
_APART, _POINTS = 0.5, 30


class Pace:
  """Steps by seconds over the last stretch of a stage."""

  def __init__(self) -> None:
    # When a point began, when it ended, and the step then.
    self._points: collections.deque[tuple[float, float, int]] = collections.deque(maxlen=_POINTS)

  def add(self, at: float, step: int) -> None:
    """A step is done, at a time in seconds of any clock."""
    near = self._points and at - self._points[-1][0] < _APART
    began = self._points.pop()[0] if near else at
    self._points.append((began, at, step))

  @property
  def per_second(self) -> float:
    """Steps a second; NaN where fewer than two have been seen."""
    if len(self._points) < 2:
      return math.nan
    (_, since, first), (_, until, last) = self._points[0], self._points[-1]
    return (last - first) / (until - since) if until > since else math.nan


def in_words(per_second: float) -> str:
  """As 3.2 steps/s or 7.6 s/step; a dash where it is not known."""
  if not per_second > 0:
    return "-"
  if per_second >= 1:
    return f"{per_second:.1f} steps/s"
  return f"{1 / per_second:.1f} s/step"
