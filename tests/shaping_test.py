"""Shaping against hand-worked numbers and the float64 reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.shaping import answer_returns, gdpo_advantages, normalized, overlong_penalty
from tests import references

NAN = float("nan")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
  ("length", "expected"), [(1, 0.0), (12, 0.0), (13, -0.25), (14, -0.5), (16, -1.0), (20, -1.0)]
)
def test_overlong_penalty_by_hand(length, expected):
  """Budget 16, buffer 4: DAPO, eq. 13."""
  assert overlong_penalty(jnp.int32(length), limit=16, buffer=4) == pytest.approx(expected)


@given(length=st.integers(0, 40), limit=st.integers(1, 30), share=st.floats(0.01, 1))
def test_overlong_penalty_against_the_reference(length, limit, share):
  buffer = max(1, int(limit * share))
  found = overlong_penalty(jnp.int32(length), limit=limit, buffer=buffer)
  expected = references.overlong_penalty(length, limit, buffer)
  assert float(found) == pytest.approx(expected, abs=1e-6)


def test_answer_returns_by_hand():
  kl = jnp.array([[[1.0, 2.0, 3.0, NAN]]])
  mask = jnp.array([[[True, True, True, False]]])
  np.testing.assert_allclose(answer_returns(kl, mask), [[[6.0, 5.0, 3.0, 0.0]]])


def test_answer_returns_against_the_reference():
  kl, mask = RNG.normal(size=(2, 3, 5)), RNG.random((2, 3, 5)) < 0.7
  expected = references.answer_returns(kl, mask)
  np.testing.assert_allclose(answer_returns(jnp.asarray(kl), mask), expected, rtol=1e-5, atol=1e-6)


def test_normalized_by_hand():
  values, mask = jnp.array([1.0, 3.0, NAN]), jnp.array([True, True, False])
  np.testing.assert_allclose(normalized(values, mask, eps=0.0), [-1.0, 1.0, 0.0])


@pytest.mark.parametrize("values", [[2.0, 2.0], [1e6, 1e6 + 0.1]])
def test_normalized_of_equals_is_exactly_zero(values):
  np.testing.assert_array_equal(normalized(jnp.array(values), jnp.ones(2, bool)), 0)


def test_normalized_of_nothing_is_zero():
  np.testing.assert_array_equal(normalized(jnp.array([NAN, 1.0]), jnp.zeros(2, bool)), 0)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("scale", ["group_std", "none", "group_mean"])
def test_gdpo_against_the_reference(jit, scale):
  parts = np.abs(RNG.normal(size=(3, 4, 5)))
  parts[0, 1, 2] = NAN
  parts[1, 2] = 0.5  # a reward that says nothing about a group
  weights = np.array([1.0, 0.5, 2.0])

  def ours(parts, weights):
    return gdpo_advantages(parts, weights, scale=scale)

  found = (jax.jit(ours) if jit else ours)(
    jnp.asarray(parts, jnp.float32), jnp.asarray(weights, jnp.float32)
  )
  expected = references.gdpo_advantages(parts, weights, scale=scale)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  assert found[1, 2] == 0


def test_gdpo_hears_a_reward_of_small_range():
  """The sum of raw rewards hides the second; normalised by itself it counts as much."""
  large, small = np.array([[0.0, 1.0, 0.0, 1.0]]), np.array([[0.0, 0.0, 0.01, 0.01]])
  parts = jnp.asarray(np.stack([large, small]), jnp.float32)
  found = gdpo_advantages(parts, jnp.ones(2))[0]
  np.testing.assert_allclose(found, np.array([-1, 0, 0, 1]) * np.sqrt(2), atol=2e-3)
