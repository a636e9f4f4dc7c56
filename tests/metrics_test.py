"""Figures that add up: any split of a batch gives the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import metrics
from grpo_jax.metrics import Ess, Max, Mean

VALUES = jnp.array([0.5, 2.0, 1.0, 4.0, float("nan")])
MASK = jnp.array([True, True, False, True, False])
# Of 0.5, 2 and 4: mean, maximum, (6.5)^2 / (3 * 20.25).
EXPECTED = {Mean: 6.5 / 3, Max: 4.0, Ess: 42.25 / 60.75}


@pytest.mark.parametrize("kind", EXPECTED)
def test_by_hand(kind):
  assert float(kind.of(VALUES, MASK).value) == pytest.approx(EXPECTED[kind])


@pytest.mark.parametrize("kind", EXPECTED)
@pytest.mark.parametrize("cut", [0, 1, 3, 5])
def test_two_parts_are_the_whole(kind, cut):
  """Design rule 3: (sum, count) pairs, divided once."""
  left, right = kind.of(VALUES[:cut], MASK[:cut]), kind.of(VALUES[cut:], MASK[cut:])
  assert float(left.merge(right).value) == pytest.approx(EXPECTED[kind])


@pytest.mark.parametrize("kind", EXPECTED)
def test_devices_together_are_the_whole(kind):
  values = jnp.stack([VALUES, VALUES + 1])
  masks = jnp.stack([MASK, ~MASK & ~jnp.isnan(VALUES)])
  both = jax.pmap(lambda v, m: kind.of(v, m).over_devices("d"), axis_name="d")(values, masks)
  expected = kind.of(values.reshape(-1), masks.reshape(-1)).value
  np.testing.assert_allclose(both.value, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [Mean, Ess])
def test_of_nothing_is_not_a_number(kind):
  assert jnp.isnan(kind.of(VALUES, jnp.zeros(5, bool)).value)


def test_equal_weights_count_fully_and_one_heavy_weight_counts_once():
  assert float(Ess.of(jnp.full(8, 3.0), jnp.ones(8, bool)).value) == pytest.approx(1)
  assert float(Ess.of(jnp.eye(8)[0], jnp.ones(8, bool)).value) == pytest.approx(1 / 8)


def test_read_gives_plain_numbers():
  figures = metrics.read({"a": Mean.of(VALUES, MASK), "b": metrics.single(jnp.float32(2))})
  assert figures == {"a": pytest.approx(6.5 / 3), "b": 2.0}
  assert all(type(value) is float for value in figures.values())


def test_explained_variance_is_exact_beside_a_large_mean_and_however_it_is_split():
  """Returns 50 +- 0.05 and a constant critic: 0, where squares of 50 would round to -0.1."""
  rng = np.random.default_rng(0)
  y = (50 + 0.05 * rng.normal(size=4096)).astype(np.float32)
  x = np.full_like(y, 49.0)
  mask = rng.random(4096) < 0.8
  expected = 1 - np.var((y - x)[mask], dtype=np.float64) / np.var(y[mask], dtype=np.float64)
  whole = metrics.Explained.of(x, y, mask)
  parts = [metrics.Explained.of(x[i::3], y[i::3], mask[i::3]) for i in range(3)]
  split = parts[0].merge(parts[1]).merge(parts[2])
  for found in (whole, split):
    assert float(found.value) == pytest.approx(expected, abs=1e-3)
  near = metrics.Explained.of(y + 0.01, y, mask)
  assert float(near.value) == pytest.approx(1, abs=1e-6)
