"""Long curves with fewer points, and nothing lost that sticks out."""

from collections.abc import Sequence

Points = tuple[list[float], list[float]]
_UNIT = 1074  # every float is a whole multiple of 2 to the power of minus this


def envelope(x: Sequence[float], y: Sequence[float], places: int) -> Points:
  """At most 2 x `places` + 2 points: of each of `places` stretches the least and the greatest.

  The first and the last point stay. Shorter curves are as they were.
  """
  count = len(x)
  if count <= 2 * places + 2:
    return list(x), list(y)
  kept = {0, count - 1}
  for place in range(places):
    stretch = range(count * place // places, count * (place + 1) // places)
    kept |= {min(stretch, key=y.__getitem__), max(stretch, key=y.__getitem__)}
  order = sorted(kept)
  return [x[at] for at in order], [y[at] for at in order]


def running_mean(y: Sequence[float], starts: Sequence[int], width: int) -> list[float]:
  """The mean of each value and those up to `width` - 1 before it in its own stretch.

  starts: the places in `y` at which stretches begin, as stages do.
  """
  means, total, begin, own = [], 0, 0, set(starts)
  for end, value in enumerate(y):
    if end in own:
      total, begin = 0, end
    total += _units(value)
    if end - begin >= width:
      total -= _units(y[begin])
      begin += 1
    means.append(total / ((end - begin + 1) << _UNIT))
  return means


def _units(value: float) -> int:
  """A value in units of the least float, exactly: a sum of floats would not forget a spike."""
  numerator, denominator = value.as_integer_ratio()
  return numerator << (_UNIT + 1 - denominator.bit_length())
