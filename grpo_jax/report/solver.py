"""Least squares of the sigmoid: one careful fit by SciPy, or many like it at once in NumPy.

theta is (log(A - r), log B, log C_mid), with r the mean score before training, so that whatever the
solver tries is a curve that rises from its start.
"""

import dataclasses

import numpy as np

from grpo_jax.report.extra import load

EXPONENTS = (0.25, 8.0)  # of B; published curves lie between 0.5 and 4
_BEYOND = 10.0  # C_mid is at most this far outside of the compute that was seen
_SMALLEST = 1e-6  # the least gain, as a share of the figure's range
_STARTS = 4  # of the coarse grid's best
_ROUNDS = 40  # Levenberg-Marquardt steps of the many fits


@dataclasses.dataclass(frozen=True)
class Points:
  """What is fitted: f64[N] each, pooled over the seeds of a setting.

  Attributes:
    compute: 0 or more, in whatever unit; some above 0.
    values: the scores.
    start: the score before training, of the seed that the point is of.
    base: the mean start of the seeds, below `most`.
    least, most: between which a score can lie.
  """

  compute: np.ndarray
  values: np.ndarray
  start: np.ndarray
  base: float
  least: float
  most: float

  @property
  def bounds(self) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest theta, f64[3]."""
    seen = self.compute[self.compute > 0]
    gain = (_SMALLEST * (self.most - self.least), self.most - self.base)
    middle = (seen.min() / _BEYOND, seen.max() * _BEYOND)
    low, high = np.log(np.array([gain, EXPONENTS, middle])).T
    return low, np.maximum(high, low + 1e-9)


def rise(compute: np.ndarray, exponent: np.ndarray, middle: np.ndarray) -> np.ndarray:
  """1 / (1 + (C_mid / C)^B), the share of the gain that compute C has bought; 0 at C = 0."""
  with np.errstate(divide="ignore", over="ignore"):
    return 1 / (1 + np.exp(exponent * (np.log(middle) - np.log(compute))))


def predict(theta: np.ndarray, points: Points) -> np.ndarray:
  """start + (A - start) rise: f64[R,3] -> f64[R,N]."""
  return _with_slopes(theta, points)[0]


def solve(points: Points) -> np.ndarray:
  """theta, f64[3], of the least squares within the bounds.

  Raises:
    ConfigError: one line that names the extra, where SciPy is not installed.
  """
  least_squares = load("scipy.optimize", "fitting curves").least_squares

  def residuals(theta: np.ndarray) -> np.ndarray:
    return predict(theta[None], points)[0] - points.values

  def slopes(theta: np.ndarray) -> np.ndarray:
    return _with_slopes(theta[None], points)[1][0]

  found = [
    least_squares(
      residuals, start, slopes, bounds=points.bounds, xtol=1e-12, ftol=1e-12, gtol=1e-12
    )
    for start in _starts(points)
  ]
  return min(found, key=lambda one: one.cost).x


def solve_many(points: Points, values: np.ndarray, near: np.ndarray) -> np.ndarray:
  """theta of many sets of values at the same places: f64[R,N] -> f64[R,3].

  Levenberg-Marquardt with every step cut to the bounds. Each set starts from `near`, f64[3], and
  from where the whole set would start; the better end is kept.
  """
  ends = []
  for start in (near, *_starts(points)[:1]):
    theta = np.repeat(start[None], len(values), 0)
    ends.append(_descend(points, values, theta))
  first, second = (_cost(points, values, theta) for theta in ends)
  return np.where((first <= second)[:, None], *ends)


def _starts(points: Points) -> np.ndarray:
  """The best of a coarse grid of B and C_mid, each with its best A: f64[_STARTS,3]."""
  low, high = points.bounds
  inside = 0.02 * (high - low)
  middles = np.linspace(low[2] + inside[2], high[2] - inside[2], 12)
  grid = np.array([(0.0, np.log(b), middle) for b in (0.6, 1.2, 2.5, 5.0) for middle in middles])
  share = rise(points.compute, *np.exp(grid[:, 1:, None]).swapaxes(0, 1))
  # The curve is linear in A: its best is a quotient.
  wanted = points.values - points.start * (1 - share)
  ceilings = (wanted * share).sum(-1) / np.maximum((share * share).sum(-1), 1e-30)
  gain = np.log(np.maximum(ceilings - points.base, 1e-30))
  grid[:, 0] = np.clip(gain, low[0] + inside[0], high[0] - inside[0])
  return grid[np.argsort(_cost(points, points.values, grid))[:_STARTS]]


def _descend(points: Points, values: np.ndarray, theta: np.ndarray) -> np.ndarray:
  low, high = points.bounds
  theta = np.clip(theta, low, high)
  damping, cost = np.full(len(theta), 1e-2), _cost(points, values, theta)
  for _ in range(_ROUNDS):
    fitted, slopes = _with_slopes(theta, points)
    square = np.einsum("rni,rnj->rij", slopes, slopes)
    downhill = np.einsum("rni,rn->ri", slopes, values - fitted)
    size = damping * (np.einsum("rii->ri", square).max(-1) + 1e-12)
    step = np.linalg.solve(square + size[:, None, None] * np.eye(3), downhill[..., None])
    tried = np.clip(theta + np.clip(step[..., 0], -1, 1), low, high)
    tried_cost = _cost(points, values, tried)
    better = tried_cost < cost
    theta, cost = np.where(better[:, None], tried, theta), np.where(better, tried_cost, cost)
    damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-9, 1e6)
  return theta


def _cost(points: Points, values: np.ndarray, theta: np.ndarray) -> np.ndarray:
  """Sums of squares, f64[R]."""
  return np.square(predict(theta, points) - values).sum(-1)


def _with_slopes(theta: np.ndarray, points: Points) -> tuple[np.ndarray, np.ndarray]:
  """The curve, f64[R,N], and its derivatives by theta, f64[R,N,3]."""
  gain, exponent, middle = (part[:, None] for part in np.exp(theta).T)
  share = rise(points.compute, exponent, middle)
  whole = points.base + gain - points.start
  # rise = sigmoid(z) with z = B (log C - log C_mid); at C = 0 nothing changes it.
  z = exponent * (np.log(np.maximum(points.compute, 1e-300)) - np.log(middle))
  bend = whole * share * (1 - share)
  return points.start + whole * share, np.stack([gain * share, bend * z, -bend * exponent], -1)
