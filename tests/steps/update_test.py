"""Gradients in float16 keep their digits; a gradient that is not finite is told from none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.metrics import read
from grpo_jax.steps import update
from grpo_jax.steps.update import loss_scale, summed_gradients

N, D = 2**22, 4


@pytest.mark.parametrize(
  ("dtype", "tokens", "expected"),
  [("float32", 2**20, 1.0), ("bfloat16", 2**20, 1.0), ("float16", 2**20, 2.0**16),
   ("float16", 8, 1.0), ("float16", 3 * 2**18, 2.0**16)],
)  # fmt: skip
def test_the_scale_is_a_power_of_two_near_a_sixteenth_of_the_tokens(dtype, tokens, expected):
  assert loss_scale(dtype, tokens) == expected


def _error(scale):
  """Of the gradient of a part of a batch of N tokens, whose way back goes through float16."""
  values = jnp.asarray(np.random.default_rng(0).normal(size=(4, 16, D)), jnp.float32)

  def loss(params, part):
    seen = params.astype(jnp.float16) * part.astype(jnp.float16)
    return jnp.sum(jnp.sin(seen.astype(jnp.float32))) / N, {}

  def gradient(params):
    return summed_gradients(loss, params, values, 4, scale=scale)[0]

  point = jnp.full(D, 0.5)
  exact = jax.grad(lambda p: jnp.sum(jnp.sin(p * values)) / N)(point)
  return float(jnp.linalg.norm(jax.jit(gradient)(point) - exact) / jnp.linalg.norm(exact))


def test_float16_loses_the_gradient_of_many_tokens_and_a_scale_keeps_it():
  assert _error(1.0) > 0.1
  assert _error(loss_scale("float16", N)) < 2e-3


@pytest.mark.parametrize(
  ("value", "loss", "signal", "skipped", "nonfinite"),
  [
    (1.0, 1.0, True, 0, 0),
    (0.0, 0.0, False, 1, 0),
    (np.nan, 1.0, True, 1, 1),
    (np.inf, 1.0, True, 1, 1),
    (1.0, np.nan, True, 1, 1),
  ],
)
def test_what_was_skipped_and_why(value, loss, signal, skipped, nonfinite):
  import optax

  state = update.init_state(jnp.ones(2), optax.identity())
  gradient = jnp.array([value, 0.0])
  state, figures = update.apply_gradients(
    state, gradient, optax.identity(), lambda _: 0.1, jnp.float32(loss), jnp.bool_(signal)
  )
  figures = read(figures)
  assert (figures["train/skipped"], figures["train/nonfinite"]) == (skipped, nonfinite)
  assert np.isfinite(state.params).all()
