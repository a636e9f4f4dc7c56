"""The policy loss: objective, correction, KL, entropy, aggregated."""

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig, is_on
from grpo_jax.losses.aggregation import token_weights
from grpo_jax.losses.corrections import CORRECTIONS, mismatch_metrics
from grpo_jax.losses.kl import LOG_RATIO_BOUND, k3, kl_estimate
from grpo_jax.losses.objectives import OBJECTIVES
from grpo_jax.metrics import Ess, Max, Mean, Metrics


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
  kept: jax.Array | None = None,
  length_budget: int | None = None,
  weights: jax.Array | None = None,
) -> tuple[jax.Array, Metrics]:
  """Objective + kl_coefficient KL(pi || pi_ref) - entropy_coefficient H, aggregated over tokens.

  Args:
    logprobs: f32[P,G,T] of the policy that is trained; the only argument that has a gradient.
    old_logprobs: f32[P,G,T] of the policy at the start of the update.
    advantages: f32[P,G], or f32[P,G,T] where they differ from token to token.
    mask: bool[P,G,T], the answers' tokens; what stands elsewhere may be anything, NaN included.
    config: which objective, aggregation and terms.
    ref_logprobs: f32[P,G,T], needed where kl_coefficient > 0 and kl_place is "loss".
    sampler_logprobs: f32[P,G,T] of the sampler, needed by sampler_correction; its mismatch with
      old_logprobs is logged wherever it is given.
    entropy: f32[P,G,T], needed where entropy_coefficient is not 0.
    finished: bool[P,G], needed by mask_truncated.
    kept: bool[P,G,T], needed where entropy_top < 1: the tokens of high entropy. The others lose
      their objective and stay in the denominators (Wang et al. 2025, Beyond the 80/20 Rule).
    length_budget: L_max of the "constant" aggregation; T by default.
    weights: f32[P,G,T] from `token_weights` over the whole optimiser batch, where this call is
      given a part of it; by default what is given is the whole.

  Returns:
    The loss, f32[], and its metrics.

  Raises:
    ValueError: an argument is missing that the config needs.
  """
  chex.assert_rank([logprobs, advantages, mask], [3, {2, 3}, 3])
  chex.assert_equal_shape([logprobs if advantages.ndim == 3 else logprobs[..., 0], advantages])
  given = (old_logprobs, mask, ref_logprobs, sampler_logprobs, entropy, kept)
  chex.assert_equal_shape([logprobs, *(array for array in given if array is not None)])
  _require(config, ref_logprobs, sampler_logprobs, entropy, finished, kept)
  mask = loss_mask(mask, finished, config)
  if weights is None:
    weights = token_weights(mask, config.aggregation, length_budget=length_budget)
  logprobs = jnp.where(mask, logprobs.astype(jnp.float32), 0)
  old = _constant(old_logprobs, mask)
  log_ratio = jnp.clip(logprobs - old, -LOG_RATIO_BOUND, LOG_RATIO_BOUND)
  advantages = advantages[..., None] if advantages.ndim == 2 else advantages
  advantages = _constant(jnp.broadcast_to(advantages, mask.shape), mask)
  values, cut = OBJECTIVES[config.objective](logprobs, log_ratio, advantages, mask, config)
  metrics = ratio_metrics(log_ratio, cut, mask)
  if config.entropy_top < 1 and kept is not None:
    values = jnp.where(kept, values, 0)
  if sampler_logprobs is not None:
    log_weight = old - _constant(sampler_logprobs, mask)
    correction = CORRECTIONS[config.sampler_correction](log_weight, config)
    values *= correction
    metrics |= mismatch_metrics(log_weight, correction, mask)
  if is_on(config.kl_coefficient) and config.kl_place == "loss":
    kl = kl_estimate(logprobs, _constant(ref_logprobs, mask), kind=config.kl_estimator)
    values += config.kl_coefficient * kl * (jnp.exp(log_ratio) if config.kl_unbiased else 1)
    metrics["policy/kl_ref"] = Mean.of(kl, mask)
  if is_on(config.entropy_coefficient) and entropy is not None:
    values -= config.entropy_coefficient * jnp.where(mask, entropy, 0)
  loss = jnp.sum(jnp.where(mask, values, 0) * weights)
  return loss, metrics


def loss_mask(mask: jax.Array, finished: jax.Array | None, config: LossConfig) -> jax.Array:
  """bool[P,G,T]: the tokens that carry loss."""
  return mask & finished[..., None] if config.mask_truncated and finished is not None else mask


def _constant(values: jax.Array | None, mask: jax.Array) -> jax.Array:
  """No gradient, and zeros where masked."""
  return jax.lax.stop_gradient(jnp.where(mask, jnp.asarray(values, jnp.float32), 0))


def ratio_metrics(log_ratio: jax.Array, cut: jax.Array, mask: jax.Array) -> Metrics:
  """How far the policy has come since the rollout.

  policy/clip_low, clip_high: share of tokens whose gradient a bound has cut below and above ratio
  1. policy/kl_old: KL(pi_old || pi) by k3. policy/ratio_max: the largest ratio.
  policy/log_ratio_max: the largest |log ratio|. policy/ess: effective sample size of the ratios.
  """
  log_ratio = jax.lax.stop_gradient(log_ratio)
  return {
    "policy/clip_low": Mean.of(cut & (log_ratio < 0), mask),
    "policy/clip_high": Mean.of(cut & (log_ratio > 0), mask),
    "policy/kl_old": Mean.of(k3(log_ratio), mask),
    "policy/ess": Ess.of(jnp.exp(log_ratio), mask),
    "policy/ratio_max": Max.of(jnp.exp(log_ratio), mask),
    "policy/log_ratio_max": Max.of(jnp.abs(log_ratio), mask),
  }


def _require(config: LossConfig, ref_logprobs, sampler_logprobs, entropy, finished, kept) -> None:
  in_loss = is_on(config.kl_coefficient) and config.kl_place == "loss"
  needs = {
    "kl_coefficient > 0 needs ref_logprobs": in_loss and ref_logprobs is None,
    "sampler_correction needs sampler_logprobs": config.sampler_correction != "none"
    and sampler_logprobs is None,
    "entropy_coefficient needs entropy": is_on(config.entropy_coefficient) and entropy is None,
    "entropy_top < 1 needs kept": config.entropy_top < 1 and kept is None,
    "mask_truncated needs finished": config.mask_truncated and finished is None,
  }
  for problem, missing in needs.items():
    if missing:
      raise ValueError(f"policy_loss: {problem}")
