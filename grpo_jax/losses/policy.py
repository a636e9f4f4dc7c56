"""The policy loss: objective, correction, KL, entropy, aggregated."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig
from grpo_jax.losses.aggregation import token_weights
from grpo_jax.losses.kl import LOG_RATIO_BOUND, k3, kl_estimate
from grpo_jax.losses.objectives import OBJECTIVES
from grpo_jax.metrics import Max, Mean, Metrics


def policy_loss(
  logprobs: jax.Array,
  old_logprobs: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
  *,
  ref_logprobs: jax.Array | None = None,
  sampler_logprobs: jax.Array | None = None,
  entropy: jax.Array | None = None,
  finished: jax.Array | None = None,
  length_budget: int | None = None,
  weights: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """Objective + kl_coefficient KL(pi || pi_ref) - entropy_coefficient H, aggregated over tokens.

  Args:
    logprobs: f32[P,G,T] of the policy that is trained; the only argument that has a gradient.
    old_logprobs: f32[P,G,T] of the policy at the start of the update.
    advantages: f32[P,G].
    mask: bool[P,G,T], the answers' tokens; what stands elsewhere may be anything, NaN included.
    config: which objective, aggregation and terms.
    ref_logprobs: f32[P,G,T], needed where kl_coefficient > 0.
    sampler_logprobs: f32[P,G,T] of the sampler, needed by sampler_correction; its mismatch with
      old_logprobs is logged wherever it is given.
    entropy: f32[P,G,T], needed where entropy_coefficient is not 0.
    finished: bool[P,G], needed by mask_truncated.
    length_budget: L_max of the "constant" aggregation; T by default.
    weights: f32[P,G,T] from `token_weights` over the whole optimiser batch, where this call is
      given a part of it; by default what is given is the whole.

  Returns:
    The loss, f32[], and its metrics.

  Raises:
    ValueError: an argument is missing that the config needs.
  """
  chex.assert_rank([logprobs, advantages, mask], [3, 2, 3])
  chex.assert_equal_shape([logprobs, old_logprobs, mask])
  chex.assert_equal_shape_prefix([logprobs, advantages], 2)
  _require(config, ref_logprobs, sampler_logprobs, entropy, finished)
  given = [array for array in (ref_logprobs, sampler_logprobs, entropy) if array is not None]
  chex.assert_equal_shape([logprobs, *given])
  if finished is not None:
    chex.assert_equal_shape([advantages, finished])
  mask = loss_mask(mask, finished, config)
  if weights is None:
    weights = token_weights(mask, config.aggregation, length_budget=length_budget)
  logprobs = jnp.where(mask, logprobs.astype(jnp.float32), 0)
  old = _constant(old_logprobs, mask)
  log_ratio = jnp.clip(logprobs - old, -LOG_RATIO_BOUND, LOG_RATIO_BOUND)
  advantages = _constant(advantages, mask.any(axis=-1))
  values = OBJECTIVES[config.objective](logprobs, log_ratio, advantages, config)
  metrics = _ratio_metrics(log_ratio, advantages, mask, config)
  if sampler_logprobs is not None:
    log_weight = old - _constant(sampler_logprobs, mask)
    values *= CORRECTIONS[config.sampler_correction](log_weight, config)
    metrics |= _mismatch_metrics(log_weight, mask)
  if config.kl_coefficient > 0:
    kl = kl_estimate(logprobs, _constant(ref_logprobs, mask), kind=config.kl_estimator)
    values += config.kl_coefficient * kl
    metrics["policy/kl_ref"] = Mean.of(kl, mask)
  if config.entropy_coefficient != 0 and entropy is not None:
    values -= config.entropy_coefficient * jnp.where(mask, entropy, 0)
  loss = jnp.sum(jnp.where(mask, values, 0) * weights)
  return loss, metrics


def loss_mask(mask: jax.Array, finished: jax.Array | None, config: LossConfig) -> jax.Array:
  """bool[P,G,T]: the tokens that carry loss."""
  return mask & finished[..., None] if config.mask_truncated and finished is not None else mask


def _truncate(log_weight: jax.Array, config: LossConfig) -> jax.Array:
  """min(pi_old / mu, C): truncated importance sampling, Ionides 2008."""
  return jnp.exp(jnp.minimum(log_weight, jnp.log(config.sampler_cap)))


CORRECTIONS: dict[str, Callable[..., jax.Array]] = {
  "none": lambda log_weight, config: jnp.ones(()),
  "truncate": _truncate,
}


def _constant(values: jax.Array | None, mask: jax.Array) -> jax.Array:
  """No gradient, and zeros where masked."""
  return jax.lax.stop_gradient(jnp.where(mask, jnp.asarray(values, jnp.float32), 0))


def _ratio_metrics(log_ratio, advantages, mask, config: LossConfig) -> Metrics:
  ratio = jax.lax.stop_gradient(jnp.exp(log_ratio))
  advantage = advantages[..., None]
  return {
    "policy/clip_low": Mean.of((ratio < 1 - config.clip_low) & (advantage < 0), mask),
    "policy/clip_high": Mean.of((ratio > 1 + config.clip_high) & (advantage > 0), mask),
    "policy/kl_old": Mean.of(k3(jax.lax.stop_gradient(log_ratio)), mask),
    "policy/ratio_max": Max.of(ratio, mask),
  }


def _mismatch_metrics(log_weight: jax.Array, mask: jax.Array) -> Metrics:
  return {
    "mismatch/log_mean": Mean.of(jnp.abs(log_weight), mask),
    "mismatch/log_max": Max.of(jnp.abs(log_weight), mask),
    "mismatch/k3": Mean.of(k3(jnp.clip(log_weight, -LOG_RATIO_BOUND, LOG_RATIO_BOUND)), mask),
  }


def _require(config: LossConfig, ref_logprobs, sampler_logprobs, entropy, finished) -> None:
  needs = {
    "kl_coefficient > 0 needs ref_logprobs": config.kl_coefficient > 0 and ref_logprobs is None,
    "sampler_correction needs sampler_logprobs": config.sampler_correction != "none"
    and sampler_logprobs is None,
    "entropy_coefficient needs entropy": config.entropy_coefficient != 0 and entropy is None,
    "mask_truncated needs finished": config.mask_truncated and finished is None,
  }
  for problem, missing in needs.items():
    if missing:
      raise ValueError(f"policy_loss: {problem}")
