"""What a critic learns from: against float64 loops, hand-worked values and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.losses import bradley_terry, gae, value_loss

_RNG = np.random.default_rng(0)
_REWARDS, _VALUES = _RNG.normal(size=(2, 3, 6)), _RNG.normal(size=(2, 3, 6))
_MASK = np.arange(6) < _RNG.integers(1, 7, size=(2, 3, 1))


def reference_gae(rewards, values, mask, gamma, lam):
  advantages = np.zeros_like(rewards)
  for place in np.ndindex(rewards.shape[:-1]):
    ahead, value_ahead = 0.0, 0.0
    for t in reversed(range(rewards.shape[-1])):
      if mask[(*place, t)]:
        delta = rewards[(*place, t)] + gamma * value_ahead - values[(*place, t)]
        ahead = advantages[(*place, t)] = delta + gamma * lam * ahead
        value_ahead = values[(*place, t)]
  return advantages


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0.0)])
def test_gae_is_the_loop_by_hand(gamma, lam, jit):
  function = lambda *given: gae(*given, gamma=gamma, lam=lam)  # noqa: E731
  found, returns = (jax.jit(function) if jit else function)(_REWARDS, _VALUES, _MASK)
  expected = reference_gae(_REWARDS, _VALUES, _MASK, gamma, lam)
  np.testing.assert_allclose(found, expected, atol=1e-5)
  np.testing.assert_allclose(returns, np.where(_MASK, expected + _VALUES, 0), atol=1e-5)


def test_one_answer_by_hand():
  found, returns = gae(
    jnp.array([0.0, 0.0, 1.0]), jnp.array([0.5, 0.25, 0.5]), jnp.ones(3, bool), gamma=1.0, lam=0.5
  )
  np.testing.assert_allclose(found, [-0.25 + 0.25, 0.25 + 0.25, 0.5])
  np.testing.assert_allclose(returns, [0.5, 0.75, 1.0])


def test_at_the_ends_it_is_the_return_and_the_temporal_difference():
  whole, returns = gae(_REWARDS, _VALUES, _MASK, gamma=1.0, lam=1.0)
  to_come = np.flip(np.cumsum(np.flip(np.where(_MASK, _REWARDS, 0), -1), -1), -1)
  np.testing.assert_allclose(returns, np.where(_MASK, to_come, 0), atol=1e-5)
  assert np.abs(np.asarray(whole)).max() > 0.1


def test_what_is_masked_reaches_nothing():
  """Padding anywhere, in the middle too, is passed over as if it were not there."""
  rewards, values = jnp.array([1.0, jnp.nan, 2.0]), jnp.array([0.5, jnp.nan, 0.25])
  found, returns = gae(rewards, values, jnp.array([True, False, True]), gamma=0.9, lam=0.8)
  short, _ = gae(rewards[::2], values[::2], jnp.ones(2, bool), gamma=0.9, lam=0.8)
  np.testing.assert_allclose(found[::2], short, rtol=1e-6)
  assert found[1] == returns[1] == 0


def test_the_value_loss_by_hand():
  values, old, returns = jnp.array([1.0, 1.0, 0.1]), jnp.array([0.0, 0.9, 0.0]), jnp.ones(3)
  np.testing.assert_allclose(value_loss(values, old, returns), [0, 0, 0.405], rtol=1e-6)
  # Clipped to 0.2, 1.0 and 0.1: the worse of both counts.
  np.testing.assert_allclose(
    value_loss(values, old, returns, clip=0.2), [0.32, 0, 0.405], rtol=1e-6
  )


def test_its_gradient_by_finite_differences():
  values, old, returns = (jnp.asarray(x, jnp.float32) for x in _RNG.normal(size=(3, 20)))

  def loss(values):
    return jnp.sum(value_loss(values, old, returns, clip=0.3))

  found, h = jax.grad(loss)(values), 1e-3
  expected = [(loss(values.at[i].add(h)) - loss(values.at[i].add(-h))) / (2 * h) for i in range(20)]
  np.testing.assert_allclose(found, expected, atol=2e-2)


def test_bradley_terry_by_hand():
  chosen, rejected = jnp.array([2.0, 0.0, 100.0]), jnp.array([0.0, 0.0, -100.0])
  np.testing.assert_allclose(
    bradley_terry(chosen, rejected), [np.log1p(np.exp(-2)), np.log(2), 0], atol=1e-6
  )
  with_margin = bradley_terry(chosen, rejected, margin=1.0, centering=0.1)
  np.testing.assert_allclose(with_margin[0], np.log1p(np.exp(-1)) + 0.4, rtol=1e-6)


def test_bradley_terry_is_stable_and_its_gradient_bounded():
  """d/dr_chosen is -sigmoid(-margin): between -1 and 0 whatever the scores are."""
  gradient = jax.grad(lambda x: jnp.sum(bradley_terry(x, jnp.zeros(3))))
  found = gradient(jnp.array([-1e4, 0.0, 1e4]))
  np.testing.assert_allclose(found, [-1, -0.5, 0], atol=1e-6)
