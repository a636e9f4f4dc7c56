"""AdamW by hand, and every field of the optimiser."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.optimizer import make_optimizer, make_schedule

_GRADIENTS = [np.array([3.0, -4.0, 0.1]), np.array([0.2, 0.1, -0.3]), np.array([-1.0, 2.0, 0.0])]


def _trajectory(**fields) -> np.ndarray:
  """Parameters after each of the updates, of a stage of as many."""
  settings = config.Optimizer(**fields)
  config.check(settings)
  optimizer, schedule = make_optimizer(settings), make_schedule(settings, len(_GRADIENTS))
  params, seen = jnp.array([1.0, -2.0, 3.0]), []
  state = optimizer.init(params)
  for step, gradient in enumerate(_GRADIENTS):
    direction, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state, params)
    params = params - schedule(step) * direction
    seen.append(np.asarray(params))
  return np.array(seen)


def test_adamw_by_hand():
  """Loshchilov & Hutter 2019, algorithm 2, in float64, after a clip of the global norm to 1."""
  b1, b2, eps, decay, lr = 0.9, 0.95, 1e-8, 0.1, 0.01
  x, m, v, seen = np.array([1.0, -2.0, 3.0]), np.zeros(3), np.zeros(3), []
  for t, gradient in enumerate(_GRADIENTS, start=1):
    g = gradient * min(1.0, 1.0 / np.sqrt(np.sum(gradient**2)))
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
    step = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * x
    x = x - lr * step
    seen.append(x)
  found = _trajectory(lr=lr, min_lr=0.0, schedule="constant", weight_decay=decay)
  np.testing.assert_allclose(found, np.array(seen), rtol=1e-5)


_STABLE = {"schedule": "warmup_stable_decay"}
FIELDS = {
  "lr": ({}, 2e-3),
  "min_lr": ({}, 5e-4),
  "schedule": ({}, "linear"),
  "warmup_steps": ({}, 1),
  "decay_steps": ({}, 2),
  "stable_steps": (_STABLE, 1),
  "beta1": ({}, 0.5),
  "beta2": ({}, 0.5),
  "eps": ({}, 0.1),
  "weight_decay": ({}, 0.1),
  "max_grad_norm": ({"eps": 0.1}, 0.0),
  "first_moment": ({"lr": 0.1}, "bfloat16"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_changes_the_updates(name):
  beside, value = FIELDS[name]
  beside = {"lr": 1e-3, "min_lr": 1e-4} | beside
  before, after = _trajectory(**beside), _trajectory(**(beside | {name: value}))
  assert np.abs(before - after).max() > 1e-6


def test_no_field_is_left_out():
  """micro_batches is what the gradient must not depend on: steps/invariance_test.py."""
  fields = {field.name for field in dataclasses.fields(config.Optimizer)}
  elsewhere = {"micro_batches", "spike_sigma", "spike_window"}  # guard_test.py
  assert set(FIELDS) | elsewhere == fields


def test_a_first_moment_in_bfloat16_takes_half_the_memory_and_nearly_the_same_way():
  optimizer = make_optimizer(config.Optimizer(first_moment="bfloat16"))
  state = optimizer.init(jnp.zeros(3))
  (adam,) = (part for part in state if hasattr(part, "mu"))
  assert (adam.mu.dtype, adam.nu.dtype) == (jnp.bfloat16, jnp.float32)
  fields = {"lr": 0.1, "min_lr": 0.01}
  plain, short = _trajectory(**fields), _trajectory(**fields, first_moment="bfloat16")
  np.testing.assert_allclose(short, plain, atol=2e-3)
