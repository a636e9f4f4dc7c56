"""A reward in JAX that any model earns some of: a benchmark needs groups with signal."""

import jax
import jax.numpy as jnp

from grpo_jax.rewards import ArrayReward, Solutions
from grpo_jax.types import Rollout


@ArrayReward
def odd(rollout: Rollout, solutions: Solutions) -> jax.Array:
  """The share of an answer's tokens that are odd."""
  return jnp.mean(rollout.tokens % 2, axis=-1, where=rollout.mask)
