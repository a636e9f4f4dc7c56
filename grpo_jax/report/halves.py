"""How well the first half of a run predicts the second."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from grpo_jax.report.sigmoid import Curve, finite, fit


@dataclasses.dataclass(frozen=True)
class Halves:
  """Errors of predicting the second half of the evaluations from the first.

  Attributes:
    error, last: root mean square over the second half, and predicted minus seen at its end (the
      mean of the seeds), of the sigmoid.
    naive_error, naive_last: the same of 'each seed stays as it is'.
    doubt: why the first half gives no fit; the sigmoid's errors are NaN then.
  """

  error: float
  last: float
  naive_error: float
  naive_last: float
  doubt: str = ""


def halves(curves: Sequence[Curve], *, limits: tuple[float, float] = (0.0, 1.0)) -> Halves | None:
  """Fits the first half and compares; None where no curve has a second half.

  Args:
    curves: one for a seed, as for `sigmoid.fit`; the first value, from before training, is of
      neither half, and of an odd number of others the first half has one more.
    limits: the least and the most that the figure can be.
  """
  curves = [curve for curve in map(finite, curves) if len(curve.values) > 2]
  if not curves:
    return None
  early, late = zip(*map(_cut, curves), strict=True)
  found = fit(early, limits=limits, replicates=50)
  naive, wrong = [], []
  for before, after in zip(early, late, strict=True):
    naive.append(before.values[-1] - after.values)
    # The fitted curve of the seed, from its own start.
    own = dataclasses.replace(found, start=before.values[0])
    wrong.append(own.at(after.compute) - after.values)
  return Halves(*_errors(wrong), *_errors(naive), doubt=found.doubt)


def _cut(curve: Curve) -> tuple[Curve, Curve]:
  half = 1 + len(curve.values) // 2
  return (
    Curve(curve.compute[:half], curve.values[:half]),
    Curve(curve.compute[half:], curve.values[half:]),
  )


def _errors(wrong: list[np.ndarray]) -> tuple[float, float]:
  joined = np.concatenate(wrong)
  return float(np.sqrt(np.mean(np.square(joined)))), float(np.mean([each[-1] for each in wrong]))
