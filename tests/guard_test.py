"""Updates out of line with those before are left out, and nothing else is."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax.config import Optimizer
from grpo_jax.guard import guarded, has_spiked, is_spike
from grpo_jax.metrics import read
from grpo_jax.optimizer import make_optimizer
from grpo_jax.steps import update

WINDOW, SIGMA = 8, 6.0


def _limit(values):
  """Median + sigma max(1.4826 MAD, |median| / 10), in float64."""
  values = np.asarray(values, np.float64)
  median = np.median(values)
  spread = 1.4826 * np.median(np.abs(values - median))
  return median + SIGMA * max(spread, abs(median) / 10)


@pytest.mark.parametrize("seed", range(3))
def test_the_limit_is_that_of_the_medians(seed):
  seen = np.random.default_rng(seed).normal(2, 1, size=(WINDOW, 2)).astype(np.float32)
  for column in (0, 1):
    now = np.median(seen, axis=0)
    for factor, expected in ((0.999, False), (1.001, True)):
      now[column] = _limit(seen[:, column]) * factor
      assert bool(is_spike(seen, now, SIGMA)) == expected


def _feed(values, dtype=np.float32):
  """Gradients of these norms, one after another: which were left out, and the parameters."""
  optimizer = guarded(optax.sgd(1.0), sigma=SIGMA, window=WINDOW)
  state = update.init_state(jnp.zeros(1), optimizer)

  @jax.jit
  def step(state, value):
    return update.apply_gradients(
      state, value[None], optimizer, lambda _: -1.0, jnp.float32(0.0), jnp.isfinite(value)
    )

  left = []
  for value in np.asarray(values, dtype):
    state, metrics = step(state, value)
    figures = read(metrics)
    assert figures["train/skipped"] == (figures["train/spike"] or not np.isfinite(value))
    left.append(bool(figures["train/spike"]))
  return left, float(state.params[0])


@pytest.mark.fault(11)
def test_a_spike_is_left_out_and_moves_nothing():
  values = [1.0, 1.1, 0.9, 1.0, 1000.0, 1.0]
  left, moved = _feed(values)
  assert left == [False] * 4 + [True, False]
  assert moved == pytest.approx(-sum(v for v in values if v < 10))


def test_nothing_is_a_spike_before_half_of_the_window_is_known():
  assert _feed([1.0, 1.0, 1.0, 1000.0, 1000.0])[0] == [False] * 3 + [False, True]


def test_a_spike_does_not_hide_the_next_and_a_new_level_is_not_left_out_for_ever():
  left, _ = _feed([1.0] * 8 + [1000.0, 1.0, 1000.0] + [50.0] * 12)
  assert left[8:11] == [True, False, True]
  assert left[11]
  assert not left[-1]
  assert sum(left[11:]) <= WINDOW // 2


def test_what_is_not_finite_is_never_remembered():
  left, moved = _feed([1.0] * 6 + [np.nan] + [1.0] * 10)
  assert not any(left)
  assert moved == -16.0


def test_the_loss_alone_can_be_the_spike():
  optimizer = guarded(optax.sgd(1.0), sigma=SIGMA, window=WINDOW)
  params, state = jnp.ones(2), optimizer.init(jnp.ones(2))
  for loss, expected in ((1.0, False),) * 6 + ((9.0, True), (0.1, False)):
    _, state = optimizer.update(jnp.ones(2), state, params, value=jnp.float32(loss))
    assert bool(has_spiked(state)) == expected


def test_a_spike_leaves_the_moments_and_the_decay_out_too():
  config = Optimizer(spike_sigma=SIGMA, spike_window=WINDOW, weight_decay=0.1)
  optimizer = make_optimizer(config)
  state = update.init_state(jnp.ones(3), optimizer)
  for factor in [1.0] * 6 + [1e4]:
    before = state
    gradients = jnp.full(3, factor)
    state, _ = update.apply_gradients(state, gradients, optimizer, lambda _: 0.1, jnp.float32(1))
  inner = (before.params, before.opt_state.inner), (state.params, state.opt_state.inner)
  jax.tree.map(np.testing.assert_array_equal, *inner)


def test_a_shorter_window_knows_sooner():
  for window, expected in ((4, True), (32, False)):
    optimizer = make_optimizer(Optimizer(spike_sigma=SIGMA, spike_window=window))
    params, state = jnp.ones(2), optimizer.init(jnp.ones(2))
    for loss in (1.0, 1.0, 1.0, 100.0):
      _, state = optimizer.update(jnp.ones(2), state, params, value=jnp.float32(loss))
    assert bool(has_spiked(state)) == expected


def test_without_a_guard_there_is_no_figure_of_it():
  assert has_spiked(make_optimizer(Optimizer()).init(jnp.ones(2))) is None
