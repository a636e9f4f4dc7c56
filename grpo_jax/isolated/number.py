"""What a reward may return."""

import math
from typing import Any

import numpy as np

_LARGEST = float(np.finfo(np.float32).max)


class InvalidScoreError(TypeError):
  """What a reward returned is no score."""


def as_score(value: Any) -> float:
  """The value as a number; NaN says that the answer cannot be scored.

  Args:
    value: a bool, int or float, of Python, NumPy or JAX, without axes.

  Raises:
    InvalidScoreError: it is none, is infinite, or would be in float32.
  """
  result = _float(value)
  if result is not None and (math.isnan(result) or abs(result) <= _LARGEST):
    return result
  raise InvalidScoreError(
    f"returned {_shown(value)} ({type(value).__name__}): expected a finite number, or NaN where it"
    " cannot score"
  )


def _float(value: Any) -> float | None:
  if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__float__"):
    return None
  try:
    # float() takes an array of one number too, and of a complex one the real part.
    whole = np.ndim(value) == 0 and not np.iscomplexobj(value)
    return float(value) if whole else None
  except (OverflowError, TypeError, ValueError):  # an int beyond any float
    return None


def _shown(value: Any) -> str:
  try:
    return " ".join(repr(value).split())[:40]
  except Exception:  # an object of the user's, or an int of more digits than Python shows
    return "something"
