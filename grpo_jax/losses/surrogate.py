"""The clipped surrogate, which token and sequence objectives share."""

import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig


def clipped_surrogate(
  ratio: jax.Array, advantages: jax.Array, config: LossConfig
) -> tuple[jax.Array, jax.Array]:
  """-min(rho A, clip(rho, 1 - low, 1 + high) A), and where the bound has cut the gradient."""
  trusted = jnp.clip(ratio, 1 - config.clip_low, 1 + config.clip_high)
  free, bounded = ratio * advantages, trusted * advantages
  return -jnp.minimum(free, bounded), bounded < free
