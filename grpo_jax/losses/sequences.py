"""Objectives with one ratio for a whole answer; the shapes are those of losses/objectives.py."""

import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig
from grpo_jax.losses.surrogate import clipped_surrogate


def gspo(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-min(s A, clip(s, 1 - low, 1 + high) A), s = exp(mean_t log rho): Zheng et al. 2025, eq. 5, 7.

  Every token of an answer carries the answer's loss, so that `sequence_mean` is the paper's mean.
  """
  ratio = jnp.exp(answer_mean(log_ratio, mask))
  loss, cut = clipped_surrogate(ratio, advantages, config)
  return jnp.broadcast_to(loss, mask.shape), jnp.broadcast_to(cut, mask.shape)


def gspo_token(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """GSPO with log s_t = log pi_t - sg(log pi_t) + sg(log s): Zheng et al. 2025, eq. 13 and 14.

  Its value and, where advantages are one an answer, its gradient are GSPO's; but an advantage may
  differ from token to token.
  """
  log_s = jax.lax.stop_gradient(answer_mean(log_ratio, mask))
  ratio = jnp.exp(logprobs - jax.lax.stop_gradient(logprobs) + log_s)
  return clipped_surrogate(ratio, advantages, config)


def gmpo(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-exp(mean_t clipped log rho) A, the geometric mean: Zhao et al. 2025 (GMPO).

  log rho is bounded on the pessimistic side only: at most clip_high for A > 0, at least -clip_low
  for A < 0. The bounds are of the logarithm (0.4 in the paper, ratios of e^-0.4 to e^0.4).
  """
  up = advantages > 0
  bounded = jnp.where(
    up, jnp.minimum(log_ratio, config.clip_high), jnp.maximum(log_ratio, -config.clip_low)
  )
  loss = -jnp.exp(answer_mean(bounded, mask)) * advantages
  return jnp.broadcast_to(loss, mask.shape), bounded != log_ratio


def answer_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
  """The mean over an answer's tokens: f32[P,G,T] -> f32[P,G,1], 0 for a wholly masked answer."""
  total = jnp.sum(jnp.where(mask, values, 0), axis=-1, keepdims=True)
  return total / jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1)
