"""Compute against performance: how far a run would get, and how soon.

R(C) = R_0 + (A - R_0) / (1 + (C_mid / C)^B), Khatri et al. 2025, arXiv 2510.13786. R_0 is the score
before training, A the ceiling, C_mid the compute that buys half of the gain, B how steeply it is
bought (efficiency). R_0 is not fitted: it is each curve's first value.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from grpo_jax.report import solver
from grpo_jax.report.bootstrap import bootstrap

REPLICATES = 200
# A rule that is asked at every evaluation has many chances to be wrong: 99 %, not 95 %.
_SURE, _SURE_NOISE = 0.99, 2.58
_LEAST = 5  # evaluations after the first; three parameters need more than three
_SURELY = 0.1  # the least gain that the interval allows, as a share of the gain
_FAR = 5  # times the compute seen; a C_mid that may lie beyond is not known
_WIDEST = 0.5  # of a ceiling's interval, as a share of the room above the start


@dataclasses.dataclass(frozen=True)
class Curve:
  """One seed: compute f64[N], ascending, and scores f64[N]; the first is from before training."""

  compute: np.ndarray
  values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Fit:
  """A fitted sigmoid.

  Attributes:
    start, ceiling, exponent, middle: R_0 (the mean of the seeds), A, B and C_mid.
    replicates: f64[R,3], (A, B, C_mid) of each bootstrap replicate.
    noise: standard deviation of the scores about the curve.
    doubt: why the numbers mean little, in a few words; "" where they are identified.
  """

  start: float
  ceiling: float = np.nan
  exponent: float = np.nan
  middle: float = np.nan
  replicates: np.ndarray = dataclasses.field(default_factory=lambda: np.full((1, 3), np.nan))
  noise: float = np.nan
  doubt: str = ""

  @property
  def bound(self) -> bool:
    """Whether B is as steep or as flat as it may be: the evaluations are too far apart to tell."""
    low, high = solver.EXPONENTS
    return not 1.01 * low < self.exponent < 0.99 * high

  def interval(self, name: str, share: float = 0.95) -> tuple[float, float]:
    """Percentiles of "ceiling", "exponent" or "middle" that hold `share` of the replicates."""
    column = self.replicates[:, ("ceiling", "exponent", "middle").index(name)]
    low, high = np.quantile(column, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)

  def at(self, compute: np.ndarray) -> np.ndarray:
    """The curve at f64[N]."""
    return sigmoid(compute, self.start, self.ceiling, self.exponent, self.middle)

  def band(self, compute: np.ndarray, share: float = 0.95) -> np.ndarray:
    """f64[2,N], between which `share` of the replicates' curves lie."""
    ceiling, exponent, middle = self.replicates.T[..., None]
    curves = sigmoid(compute, self.start, ceiling, exponent, middle)
    return np.quantile(curves, [(1 - share) / 2, (1 + share) / 2], axis=0)


def sigmoid(compute: Any, start: float, ceiling: Any, exponent: Any, middle: Any) -> np.ndarray:
  """R_0 + (A - R_0) / (1 + (C_mid / C)^B); R_0 at C = 0."""
  return start + (ceiling - start) * solver.rise(np.asarray(compute, float), exponent, middle)


def fit(
  curves: Sequence[Curve],
  *,
  limits: tuple[float, float] = (0.0, 1.0),
  replicates: int = REPLICATES,
  seed: int = 0,
) -> Fit:
  """The sigmoid of a setting, pooled over its seeds, with 95 % intervals by bootstrap.

  Each seed rises from its own first value to a common A, with a common B and C_mid; the
  bootstrap is `bootstrap.bootstrap`.

  Args:
    curves: one for a seed; values that are not finite are left out.
    limits: the least and the most that the figure can be.
    replicates: of the bootstrap.
    seed: of its random numbers.
  """
  curves = [finite(curve) for curve in curves]
  curves = [curve for curve in curves if len(curve.values)]
  start = float(np.mean([curve.values[0] for curve in curves])) if curves else np.nan
  doubt = _doubt_before(curves, start, limits)
  if doubt:
    return Fit(start, doubt=doubt)
  points, owner = _pooled(curves, start, limits)
  theta = solver.solve(points)
  many = bootstrap(points, owner, theta, replicates, np.random.default_rng(seed))
  residuals = points.values - solver.predict(theta[None], points)[0]
  noise = float(np.sqrt(np.square(residuals).sum() / max(len(residuals) - 3, 1)))
  ceiling, exponent, middle = map(float, _natural(theta, start))
  found = Fit(start, ceiling, exponent, middle, _natural(many, start).T, noise)
  return dataclasses.replace(found, doubt=_doubt_after(found, points))


def predicted_ceiling(
  steps: Sequence[float],
  values: Sequence[float],
  best: float,
  *,
  final: float | None = None,
  limits: tuple[float, float] = (0.0, 1.0),
) -> bool:
  """Whether to prune: the run is predicted to end below the best that is known.

  The sigmoid is fitted to what the run has shown; pruned is where even the upper end of the 99 %
  interval of its last evaluation, noise included, is below `best`. A curve that has not risen tells
  nothing of when it will: it is pruned only past half of `final`, and then if it has never been
  above `best`. Higher is better: negate figures that are better low.

  Args:
    steps: of the evaluations so far, ascending, the first from before training.
    values: their scores; NaN is left out, and fewer than five others prune nothing.
    best: the best known last score.
    final: the step at which the run would end; None asks for the ceiling itself.
    limits: the least and the most that the figure can be.
  """
  curve = finite(Curve(np.asarray(steps, float), np.asarray(values, float)))
  if not np.isfinite(best) or len(curve.values) <= _LEAST or curve.values.max() >= best:
    return False
  late = final is not None and curve.compute[-1] >= final / 2
  if not _rises(curve):
    return late
  found = fit([curve], limits=limits)
  if not np.isfinite(found.ceiling):
    return False
  end = np.array([np.inf if final is None else final])
  return bool(found.band(end, _SURE)[1, 0] + _SURE_NOISE * found.noise < best)


def finite(curve: Curve) -> Curve:
  """The points that are numbers."""
  kept = np.isfinite(curve.values) & np.isfinite(curve.compute)
  return Curve(np.asarray(curve.compute, float)[kept], np.asarray(curve.values, float)[kept])


def _rises(curve: Curve) -> bool:
  """Whether the later half is above the start by more than two standard errors of its mean."""
  late = curve.values[1:][len(curve.values[1:]) // 2 :]
  steps = np.diff(curve.values[1:])
  # Noise from neighbours, of which a slow rise is no part; the start has it too.
  noise = np.sqrt(np.mean(np.square(steps - steps.mean())) / 2) if len(steps) > 1 else 0.0
  return bool(late.mean() - curve.values[0] > 2 * noise / np.sqrt(len(late)) + 1e-9)


def _doubt_before(curves: Sequence[Curve], start: float, limits: tuple[float, float]) -> str:
  if not curves or max(len(curve.values) for curve in curves) <= _LEAST:
    return f"fewer than {_LEAST} evaluations after the first"
  if not any(curve.compute.max() > 0 for curve in curves):
    return "no compute is known"
  if start >= limits[1] or not any(_rises(curve) for curve in curves):
    return "no improvement"
  return ""


def _doubt_after(found: Fit, points: solver.Points) -> str:
  low, high = found.interval("ceiling")
  wide = high - low > _WIDEST * (points.most - points.base)
  last, latest = points.compute.max(), found.interval("middle")[1]
  bent = not wide and found.middle <= last and latest <= _FAR * last
  if not bent:
    return "the curve has not bent"
  sure = low - found.start >= _SURELY * (found.ceiling - found.start)
  return "" if sure else "the gain may be noise"


def _pooled(
  curves: Sequence[Curve], start: float, limits: tuple[float, float]
) -> tuple[solver.Points, np.ndarray]:
  """The points after each curve's first, and which seed each is of, i64[N]."""
  sizes = [len(curve.values) - 1 for curve in curves]
  points = solver.Points(
    np.concatenate([curve.compute[1:] for curve in curves]),
    np.concatenate([curve.values[1:] for curve in curves]),
    start=np.repeat([curve.values[0] for curve in curves], sizes),
    base=start,
    least=limits[0],
    most=limits[1],
  )
  return points, np.repeat(np.arange(len(curves)), sizes)


def _natural(theta: np.ndarray, start: float) -> np.ndarray:
  """(A, B, C_mid) along the first axis."""
  gain, exponent, middle = np.exp(theta.T)
  return np.stack([start + gain, exponent, middle])
