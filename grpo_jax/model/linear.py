"""Products with weights, and the gated feed-forward, with gradients written by hand.

The gradients are those that JAX would derive. Derived, the gradient of a weight comes out
transposed and is copied back, and the gate keeps a third array and recomputes: together a fifth of
the time of a backward pass on the CPU.
"""

import functools
import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp


def linear(x: jax.Array, weight: jax.Array, *, inputs: int = 1) -> jax.Array:
  """x [..., *I] times weight [*I, *O] -> [..., *O], over the first `inputs` axes of the weight."""
  outer, inner = x.shape[: x.ndim - inputs], weight.shape[:inputs]
  chex.assert_shape(x, (*outer, *inner))
  flat = _product(x.reshape(-1, math.prod(inner)), weight.reshape(math.prod(inner), -1))
  return flat.reshape(*outer, *weight.shape[inputs:])


def served_linear(x: jax.Array, weight: jax.Array, *, inputs: int = 1) -> jax.Array:
  """`linear` of a decode step, where the weight is [*O, *I]: one row of inputs an output."""
  outer, inner = x.shape[: x.ndim - inputs], weight.shape[weight.ndim - inputs :]
  chex.assert_shape(x, (*outer, *inner))
  size = math.prod(inner)
  y = few_rows(x.reshape(-1, size), weight.reshape(-1, size))
  return y.reshape(*outer, *weight.shape[: weight.ndim - inputs])


def few_rows(x: jax.Array, weight: jax.Array, dtype: str | None = None) -> jax.Array:
  """x [B,I], weight [O,I] -> [B,O] for a batch of few rows: weight times columns of x.

  On the CPU that is twice as fast at B = 16 as rows of x times the weight, for which Eigen repacks
  the weight; the barriers keep XLA from turning the product around again. Elsewhere XLA chooses.
  """

  def columns(x: jax.Array, weight: jax.Array) -> jax.Array:
    turned = jax.lax.optimization_barrier(x.T)
    return jax.lax.optimization_barrier(jnp.dot(weight, turned, preferred_element_type=dtype)).T

  def rows(x: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.einsum("bi,oi->bo", x, weight, preferred_element_type=dtype)

  return jax.lax.platform_dependent(x, weight, cpu=columns, default=rows)


@jax.custom_vjp
def _product(x: jax.Array, weight: jax.Array) -> jax.Array:
  return x @ weight


def _product_forward(x: jax.Array, weight: jax.Array) -> tuple[jax.Array, tuple]:
  return x @ weight, (x, weight)


def _product_backward(kept: tuple, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
  x, weight = kept
  return dy @ weight.T, x.T @ dy


_product.defvjp(_product_forward, _product_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def gated(gate: jax.Array, up: jax.Array, activation: str = "silu") -> jax.Array:
  """f(gate) * up, elementwise; Shazeer 2020, eq. 5: SwiGLU, or GEGLU by the tanh formula."""
  return _ACTIVATIONS[activation][0](gate) * up


def _gated_forward(gate: jax.Array, up: jax.Array, activation: str) -> tuple[jax.Array, tuple]:
  return gated(gate, up, activation), (gate, up)


def _gated_backward(activation: str, kept: tuple, dy: jax.Array) -> tuple[jax.Array, jax.Array]:
  gate, up = kept
  function, slope = _ACTIVATIONS[activation]
  return dy * up * slope(gate), dy * function(gate)


gated.defvjp(_gated_forward, _gated_backward)


def _silu_slope(x: jax.Array) -> jax.Array:
  """sigmoid(x) (1 + x (1 - sigmoid(x)))."""
  sigmoid = jax.nn.sigmoid(x)
  return sigmoid * (1 + x * (1 - sigmoid))


def _gelu_slope(x: jax.Array) -> jax.Array:
  """Of x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3); Hendrycks & Gimpel 2016.

  In float32: x^2 of a float16 may be infinite.
  """
  y = x.astype(jnp.float32)
  c = math.sqrt(2 / math.pi)
  tanh = jnp.tanh(c * (y + 0.044715 * y**3))
  rise = c * (1 + 3 * 0.044715 * y**2)
  return ((1 + tanh + y * (1 - tanh**2) * rise) / 2).astype(x.dtype)


# Each with its slope.
_ACTIVATIONS: dict[str, tuple[Callable, Callable]] = {
  "silu": (jax.nn.silu, _silu_slope),
  "gelu_tanh": (functools.partial(jax.nn.gelu, approximate=True), _gelu_slope),
}
