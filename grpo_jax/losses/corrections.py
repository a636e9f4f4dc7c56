"""The sampler's distribution mu is not quite the trainer's pi_old: weights that account for it.

Each function takes log_weight = log pi_old - log mu f32[P,G,T], 0 where masked, and the config,
and gives weights that multiply the loss of each token, f32[P,G,T] or broadcastable to it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig
from grpo_jax.losses.kl import LOG_RATIO_BOUND, k3
from grpo_jax.metrics import Max, Mean, Metrics


def truncate(log_weight: jax.Array, config: LossConfig) -> jax.Array:
  """min(w, C), truncated importance sampling: Ionides 2008."""
  return jnp.exp(jnp.minimum(log_weight, jnp.log(config.sampler_cap)))


def icepop(log_weight: jax.Array, config: LossConfig) -> jax.Array:
  """w where floor <= w <= cap, else 0: Ling team 2025 (Every Step Evolves, IcePop)."""
  weight = jnp.exp(jnp.clip(log_weight, -LOG_RATIO_BOUND, LOG_RATIO_BOUND))
  inside = (weight >= config.sampler_floor) & (weight <= config.sampler_cap)
  return jnp.where(inside, weight, 0)


def sequence_mask(log_weight: jax.Array, config: LossConfig) -> jax.Array:
  """1, or 0 for every token of an answer whose w = exp(sum_t log w_t) exceeds the sequence cap.

  Liu et al. 2025 (When Speed Kills Stability), masked importance sampling by sequence.
  """
  total = jnp.sum(log_weight, axis=-1, keepdims=True)
  return (total <= jnp.log(config.sampler_sequence_cap)).astype(jnp.float32)


CORRECTIONS: dict[str, Callable[[jax.Array, LossConfig], jax.Array]] = {
  "none": lambda log_weight, config: jnp.ones(()),
  "truncate": truncate,
  "icepop": icepop,
  "sequence_mask": sequence_mask,
}


def mismatch_metrics(log_weight: jax.Array, weights: jax.Array, mask: jax.Array) -> Metrics:
  """How far sampler and trainer are apart, and what the correction does about it.

  mismatch/log_mean, log_max: mean and largest |log w|. mismatch/k3: KL(mu || pi_old) by k3 = w - 1
  - log w. mismatch/dropped: share of tokens whose weight is 0.
  """
  bounded = jnp.clip(log_weight, -LOG_RATIO_BOUND, LOG_RATIO_BOUND)
  return {
    "mismatch/log_mean": Mean.of(jnp.abs(log_weight), mask),
    "mismatch/log_max": Max.of(jnp.abs(log_weight), mask),
    "mismatch/k3": Mean.of(k3(bounded), mask),
    "mismatch/dropped": Mean.of(jnp.broadcast_to(weights == 0, mask.shape), mask),
  }
