"""How sure a fit is: what it would have been with other noise of the same size."""

import numpy as np

from grpo_jax.report import solver

SEEDS = 3  # from here on the seeds say how much they differ


def bootstrap(
  points: solver.Points,
  owner: np.ndarray,
  theta: np.ndarray,
  replicates: int,
  generator: np.random.Generator,
) -> np.ndarray:
  """theta of fits to the fitted curve plus residuals drawn anew: f64[R,3].

  From three seeds on it is over seeds: all residuals of a seed are multiplied by one normal number
  (the wild bootstrap over clusters). Below, residuals are drawn one by one, which knows the noise
  of evaluations and nothing of how seeds differ. Either way they are scaled for what the fit has
  taken from them, and by Student's factor: few seeds or points know little of their own spread.

  Args:
    points: what was fitted.
    owner: i64[N], the seed of each point, from 0.
    theta: f64[3], the fit.
    replicates: how many.
    generator: of the draws.
  """
  fitted = solver.predict(theta[None], points)[0]
  residuals, seeds = points.values - fitted, int(owner.max()) + 1
  if seeds >= SEEDS:
    free, size = seeds - 1, np.sqrt(seeds / (seeds - 1))
    drawn = generator.standard_normal((replicates, seeds))[:, owner] * residuals
  else:
    free = max(len(residuals) - 3, 1)
    size = np.sqrt(len(residuals) / free)
    drawn = generator.choice(residuals, (replicates, len(residuals)))
  student = np.sqrt(free / generator.chisquare(free, (replicates, 1)))
  return solver.solve_many(points, fitted + size * student * drawn, theta)
