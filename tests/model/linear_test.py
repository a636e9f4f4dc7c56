"""Products with weights: values and gradients against einsum and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from grpo_jax.config.model import ACTIVATIONS
from grpo_jax.model.linear import few_rows, gated, linear, served_linear

KEYS = jax.random.split(jax.random.key(0), 3)
# (pattern, shape of x, shape of the weight, axes of the weight that are inputs)
CASES = {
  "one to one": ("pxd,df->pxf", (2, 3, 4), (4, 5), 1),
  "one to heads": ("pxd,dnh->pxnh", (2, 3, 4), (4, 3, 2), 1),
  "heads to one": ("pxnh,nhd->pxd", (2, 3, 3, 2), (3, 2, 4), 2),
  "a single row": ("d,df->f", (4,), (4, 5), 1),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("jit", [False, True])
def test_linear_is_einsum_with_its_gradients(name, jit):
  pattern, x_shape, w_shape, inputs = CASES[name]
  x, w = jax.random.normal(KEYS[0], x_shape), jax.random.normal(KEYS[1], w_shape)

  def ours(x, w):
    return linear(x, w, inputs=inputs)

  def theirs(x, w):
    return jnp.einsum(pattern, x, w)

  def loss(f):
    return lambda x, w: jnp.sum(jnp.sin(f(x, w)))

  wrap = jax.jit if jit else lambda f: f
  np.testing.assert_allclose(wrap(ours)(x, w), theirs(x, w), rtol=1e-6, atol=1e-6)
  found = wrap(jax.grad(loss(ours), (0, 1)))(x, w)
  expected = jax.grad(loss(theirs), (0, 1))(x, w)
  for one, other in zip(found, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_linear_keeps_the_compute_type():
  x, w = jnp.ones((2, 4), jnp.bfloat16), jnp.ones((4, 5), jnp.bfloat16)
  assert linear(x, w).dtype == jnp.bfloat16
  assert jax.grad(lambda w: linear(x, w).sum().astype(jnp.float32))(w).dtype == jnp.bfloat16


def test_linear_refuses_what_does_not_fit():
  with pytest.raises(AssertionError):
    linear(jnp.ones((3, 4)), jnp.ones((6, 5)))


def test_gates_by_hand():
  # silu(1) = 1 / (1 + e^-1) = 0.731058..., silu(0) = 0
  gate, up = jnp.array([1.0, 0.0, -20.0]), jnp.array([2.0, 3.0, 1.0])
  np.testing.assert_allclose(gated(gate, up), [1.4621172, 0.0, -4.1223072e-08], rtol=1e-5)
  # u = 0.7978846 (1 + 0.044715) = 0.8335629..., (1 + tanh u) / 2 = 0.8411920...
  found = gated(gate, up, "gelu_tanh")
  np.testing.assert_allclose(found, [1.6823840, 0.0, 0.0], rtol=1e-6, atol=1e-30)


FORMULAS = {"silu": jax.nn.silu, "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True)}


def test_every_activation_is_tested():
  assert FORMULAS.keys() == set(ACTIVATIONS)


@pytest.mark.parametrize("activation", FORMULAS)
def test_gates_have_the_gradient_of_their_formula(activation):
  gate, up = jax.random.normal(KEYS[0], (3, 5)), jax.random.normal(KEYS[1], (3, 5))
  ours = lambda g, u: gated(g, u, activation)  # noqa: E731
  check_grads(ours, (gate, up), order=1, modes=["rev"], rtol=1e-2, atol=1e-2)
  weight = jax.random.normal(KEYS[2], (3, 5))
  found = jax.grad(lambda g, u: jnp.sum(weight * ours(g, u)), (0, 1))(gate, up)
  formula = lambda g, u: jnp.sum(weight * FORMULAS[activation](g) * u)  # noqa: E731
  expected = jax.grad(formula, (0, 1))(gate, up)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", FORMULAS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("value", [-300.0, 300.0])
def test_gates_far_out_are_finite(value, dtype, activation):
  """In float16 300^2 is infinite, and an infinity times a slope of 0 would be NaN."""
  gate, up = jnp.asarray(value, dtype), jnp.ones((), dtype)
  gradients = jax.grad(lambda g, u: gated(g, u, activation).astype(jnp.float32), (0, 1))(gate, up)
  np.testing.assert_allclose(gradients, [value > 0, max(value, 0)], atol=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 16])
@pytest.mark.parametrize("jit", [False, True])
def test_few_rows_is_rows_times_weight(rows, jit):
  x, w = jax.random.normal(KEYS[0], (rows, 6)), jax.random.normal(KEYS[1], (5, 6))
  found = (jax.jit(few_rows) if jit else few_rows)(x, w)
  np.testing.assert_allclose(found, np.asarray(x) @ np.asarray(w).T, rtol=1e-5, atol=1e-6)


def test_few_rows_may_add_up_in_another_type():
  """The head's logits are float32 where the model is bfloat16: not rounded on the way."""
  x, w = jnp.ones((2, 3), jnp.bfloat16), jnp.full((4, 3), 1.01, jnp.bfloat16)
  found = few_rows(x, w, "float32")
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(found, 3 * float(w[0, 0]), rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_served_linear_is_linear_of_the_turned_weight(name):
  _, x_shape, w_shape, inputs = CASES[name]
  x, w = jax.random.normal(KEYS[0], x_shape), jax.random.normal(KEYS[1], w_shape)
  turned = jnp.moveaxis(w, range(inputs), range(-inputs, 0))
  expected = linear(x, w, inputs=inputs)
  np.testing.assert_allclose(served_linear(x, turned, inputs=inputs), expected, rtol=1e-5)
