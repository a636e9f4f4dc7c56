"""Many numbers as a few signs: what a figure did, in one line."""

import math
from collections.abc import Iterable, Sequence

_SIGNS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
  """At most `width` signs, lowest value to highest; what is not finite is a gap.

  Where there are more values than signs, each sign is the mean of its share.
  """
  if not values or width < 1:
    return ""
  count = min(width, len(values))
  means = [
    mean(values[at * len(values) // count : (at + 1) * len(values) // count]) for at in range(count)
  ]
  known = [value for value in means if math.isfinite(value)]
  if not known:
    return " " * count
  low, high = min(known), max(known)
  return "".join(_sign(value, low, high) for value in means)


def mean(values: Iterable[float]) -> float:
  """Of those that are finite; NaN where none is."""
  known = [value for value in values if math.isfinite(value)]
  return sum(known) / len(known) if known else math.nan


def _sign(value: float, low: float, high: float) -> str:
  if not math.isfinite(value):
    return " "
  # Halves first: the difference of two large numbers can be infinite.
  share = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.0
  return _SIGNS[min(int(share * len(_SIGNS)), len(_SIGNS) - 1)]
