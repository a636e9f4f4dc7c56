"""Policy objectives, token by token, to be minimised; one function a variant."""

import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig


def ppo_clip(
  logprobs: jax.Array, log_ratio: jax.Array, advantages: jax.Array, config: LossConfig
) -> jax.Array:
  """-min(rho A, clip(rho, 1 - low, 1 + high) A): Schulman et al. 2017, eq. 7.

  Two bounds as in Yu et al. 2025 (DAPO), eq. 8. With dual_clip c, for A < 0 no more than -c A:
  Ye et al. 2020, eq. 5. f32[P,G,T], f32[P,G,T], f32[P,G] -> f32[P,G,T].
  """
  ratio = jnp.exp(log_ratio)
  advantage = advantages[..., None]
  trusted = jnp.clip(ratio, 1 - config.clip_low, 1 + config.clip_high)
  loss = -jnp.minimum(ratio * advantage, trusted * advantage)
  if config.dual_clip:
    loss = jnp.where(advantage < 0, jnp.minimum(loss, -config.dual_clip * advantage), loss)
  return loss


def reinforce(
  logprobs: jax.Array, log_ratio: jax.Array, advantages: jax.Array, config: LossConfig
) -> jax.Array:
  """-A log pi: Williams 1992. f32[P,G,T], f32[P,G,T], f32[P,G] -> f32[P,G,T]."""
  return -advantages[..., None] * logprobs


OBJECTIVES = {"ppo_clip": ppo_clip, "reinforce": reinforce}
