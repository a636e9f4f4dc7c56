"""Figures that add up: means as (sum, count) pairs, so that any split of a batch gives the same."""

from collections.abc import Callable, Mapping

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


@flax.struct.dataclass
class Mean:
  """total / count, divided only when it is read."""

  total: jax.Array
  count: jax.Array

  @classmethod
  def of(cls, values: jax.Array, mask: jax.Array) -> "Mean":
    """The mean of the values where mask is true; both of one shape."""
    return cls(jnp.sum(values, where=mask, dtype=jnp.float32), jnp.sum(mask, dtype=jnp.float32))

  @property
  def value(self) -> jax.Array:
    """f32[], NaN where nothing was counted."""
    return self.total / self.count

  def merge(self, other: "Mean") -> "Mean":
    """Both together."""
    return Mean(self.total + other.total, self.count + other.count)

  def over_devices(self, axis_name: str) -> "Mean":
    """All devices together."""
    return Mean(jax.lax.psum(self.total, axis_name), jax.lax.psum(self.count, axis_name))


@flax.struct.dataclass
class Max:
  """The largest value."""

  value: jax.Array

  @classmethod
  def of(cls, values: jax.Array, mask: jax.Array) -> "Max":
    """The largest of the values where mask is true; -inf where there is none."""
    return cls(jnp.max(jnp.where(mask, values, -jnp.inf), initial=-jnp.inf))

  def merge(self, other: "Max") -> "Max":
    """Both together."""
    return Max(jnp.maximum(self.value, other.value))

  def over_devices(self, axis_name: str) -> "Max":
    """All devices together."""
    return Max(jax.lax.pmax(self.value, axis_name))


@flax.struct.dataclass
class Ess:
  """Effective sample size of weights w as a share of their number: (sum w)^2 / (N sum w^2)."""

  total: jax.Array
  squares: jax.Array
  count: jax.Array

  @classmethod
  def of(cls, weights: jax.Array, mask: jax.Array) -> "Ess":
    """Of the weights where mask is true."""
    weights = jnp.where(mask, weights, 0)
    count = jnp.sum(mask, dtype=jnp.float32)
    return cls(jnp.sum(weights), jnp.sum(jnp.square(weights)), count)

  @property
  def value(self) -> jax.Array:
    """f32[], 1 where all weights are equal, 1 / N where one has it all; NaN where there is none."""
    return jnp.square(self.total) / (self.count * self.squares)

  def merge(self, other: "Ess") -> "Ess":
    """Both together."""
    return jax.tree.map(jnp.add, self, other)

  def over_devices(self, axis_name: str) -> "Ess":
    """All devices together."""
    return jax.lax.psum(self, axis_name)


@flax.struct.dataclass
class Explained:
  """Explained variance 1 - Var(y - x) / Var(y): 1 where x is y, 0 where it is a constant.

  Means and squared deviations from them, of y - x and of y: f32[2]. Sums of squares alone would
  lose a small variance beside a large mean. Added up as in Chan et al. 1983, eq. 1.5.
  """

  count: jax.Array
  means: jax.Array
  deviations: jax.Array

  @classmethod
  def of(cls, x: jax.Array, y: jax.Array, mask: jax.Array) -> "Explained":
    """How much of y is explained by x, where mask is true."""
    each = jnp.where(mask, jnp.stack([y - x, y]), 0).reshape(2, -1)
    count = jnp.sum(mask, dtype=jnp.float32)
    means = jnp.sum(each, axis=1) / jnp.maximum(count, 1)
    centred = jnp.where(mask.reshape(-1), each - means[:, None], 0)
    return cls(count, means, jnp.sum(jnp.square(centred), axis=1))

  @property
  def value(self) -> jax.Array:
    """f32[], at most 1; NaN where y is constant."""
    left, whole = self.deviations
    return jnp.where(whole > 0, 1 - left / whole, jnp.nan)

  def merge(self, other: "Explained") -> "Explained":
    """Both together."""
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), self, other)
    return both._summed(lambda leaf: jnp.sum(leaf, axis=0))

  def over_devices(self, axis_name: str) -> "Explained":
    """All devices together."""
    return self._summed(lambda leaf: jax.lax.psum(leaf, axis_name))

  def _summed(self, total: Callable[[jax.Array], jax.Array]) -> "Explained":
    counts = self.count[..., None]
    count = total(self.count)
    means = total(counts * self.means) / jnp.maximum(count, 1)
    deviations = total(self.deviations + counts * jnp.square(self.means - means))
    return Explained(count, means, deviations)


Metric = Mean | Max | Ess | Explained
Metrics = dict[str, Metric]


def merge(left: Metrics, right: Metrics) -> Metrics:
  """Two parts of a batch together; both have the same names."""
  return {name: left[name].merge(right[name]) for name in left}  # type: ignore[arg-type]


def over_devices(metrics: Metrics, axis_name: str | None) -> Metrics:
  """All devices together; the metrics themselves where there is no axis."""
  if axis_name is None:
    return metrics
  return {name: metric.over_devices(axis_name) for name, metric in metrics.items()}


def single(value: jax.Array) -> Mean:
  """A figure that is one for the whole batch."""
  return Mean(jnp.float32(value), jnp.float32(1))


def read(metrics: Mapping[str, Metric]) -> dict[str, float]:
  """Waits for the device, and gives plain numbers."""
  with np.errstate(invalid="ignore"):  # of what was fetched before, nothing counted is 0 / 0 too
    values = jax.device_get({name: metric.value for name, metric in metrics.items()})
  return {name: float(value) for name, value in values.items()}
