"""A scalar of each hidden state: rewards of answers, values of tokens."""

import chex
import jax
import jax.numpy as jnp

from grpo_jax.types import Params


def init_scalar_head(width: int) -> Params:
  """A head that is 0 everywhere: weight f32[D] and bias f32[].

  Zeros and not noise: a reward model then begins undecided, a critic without a bias of its own, and
  the first gradient gives both a direction.
  """
  return {"weight": jnp.zeros(width), "bias": jnp.zeros(())}


def scalar_values(hidden: jax.Array, head: Params) -> jax.Array:
  """h w + b in float32: [..., D] -> f32[...]."""
  chex.assert_equal_shape_suffix([hidden, head["weight"]], 1)
  product = jnp.einsum("...d,d->...", hidden, head["weight"], preferred_element_type=jnp.float32)
  return product + head["bias"]
