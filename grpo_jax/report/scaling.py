"""Compute against performance of every setting: fits, and three orders."""

import dataclasses

import numpy as np

from grpo_jax.report.found import Found, Setting
from grpo_jax.report.halves import Halves, halves
from grpo_jax.report.sigmoid import Curve, Fit, fit


@dataclasses.dataclass(frozen=True)
class Scaling:
  """A setting with its sigmoid.

  Attributes:
    setting: as found.
    fit: of its curves; those of a figure that is better low are negated before.
    halves: how the first half predicted the second; None of very short curves.
    sign: -1 where they are negated, else 1.
  """

  setting: Setting
  fit: Fit
  halves: Halves | None
  sign: int

  @property
  def ceiling(self) -> tuple[float, float, float]:
    """A and its interval, as the figure counts."""
    ends = sorted(self.sign * end for end in self.fit.interval("ceiling"))
    return self.sign * self.fit.ceiling, ends[0], ends[1]

  def plain(self, name: str) -> tuple[float, float, float]:
    """ "exponent" or "middle" and its interval."""
    return getattr(self.fit, name), *self.fit.interval(name)


def scalings(found: Found) -> list[Scaling]:
  """Of each setting that has curves, those with the highest ceiling first, the doubtful last."""
  sign = -1 if found.lower else 1
  limits = _limits(found, sign)
  rows = []
  for setting in found.settings:
    curves = [Curve(curve.compute, sign * curve.values) for curve in setting.curves.values()]
    if curves:
      fitted = fit(curves, limits=limits)
      rows.append(Scaling(setting, fitted, halves(curves, limits=limits), sign))
  return sorted(
    rows, key=lambda row: (bool(row.fit.doubt), -np.nan_to_num(row.fit.ceiling, nan=-1e300))
  )


def orders(rows: list[Scaling]) -> dict[str, list[Scaling]]:
  """The identified ones by ceiling, by B (steepest first) and by C_mid (least compute first).

  A B at its limit is not among the second.
  """
  sure = [row for row in rows if not row.fit.doubt]
  return {
    "A": sorted(sure, key=lambda row: -row.fit.ceiling),
    "B": sorted((row for row in sure if not row.fit.bound), key=lambda row: -row.fit.exponent),
    "C_mid": sorted(sure, key=lambda row: row.fit.middle),
  }


def _limits(found: Found, sign: int) -> tuple[float, float]:
  """(0, 1) of what looks like a share; else as far again above as the scores reach."""
  curves = [curve.values for one in found.settings for curve in one.curves.values()]
  seen = sign * np.concatenate(curves) if curves else np.zeros(1)
  low, high = float(seen.min()), float(seen.max())
  if low >= 0 and high <= 1:
    return 0.0, 1.0
  if found.lower and low >= -1 and high <= 0:
    return -1.0, 0.0
  return low, high + max(high - low, 1e-6)
