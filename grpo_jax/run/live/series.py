"""The values of a figure over a stage, kept as few as a terminal can show."""

import collections
import math

from grpo_jax.run.live.sparkline import mean

_LAST, _MOST = 10, 256


class Series:
  """Takes value after value; of a long stage neighbours are kept as their mean."""

  def __init__(self) -> None:
    self._last: collections.deque[float] = collections.deque(maxlen=_LAST)
    self._means: list[float] = []
    self._each, self._open = 1, []  # type: int, list[float]

  def add(self, value: float) -> None:
    """The next; it may be NaN or infinite."""
    self._last.append(value)
    self._open.append(value)
    if len(self._open) < self._each:
      return
    self._means.append(mean(self._open))
    self._open = []
    if len(self._means) == _MOST:
      self._each *= 2
      self._means = [mean(self._means[at : at + 2]) for at in range(0, _MOST, 2)]

  @property
  def now(self) -> float:
    """The newest; NaN before the first."""
    return self._last[-1] if self._last else math.nan

  @property
  def recent(self) -> float:
    """The mean of the last 10, or of those that there are."""
    return mean(self._last)

  @property
  def course(self) -> list[float]:
    """All of the stage, the newest always among them."""
    return self._means + ([mean(self._open)] if self._open else [])
