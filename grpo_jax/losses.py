"""Policy objectives, KL estimators and aggregation."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig
from grpo_jax.metrics import Max, Mean, Metrics

# exp(20) is far beyond any clip range and far from overflow.
_LOG_RATIO_BOUND = 20.0


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
  log_ratio = jnp.clip(logprobs - old, -_LOG_RATIO_BOUND, _LOG_RATIO_BOUND)
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


def kl_estimate(logprobs: jax.Array, ref_logprobs: jax.Array, kind: str = "k3") -> jax.Array:
  """KL(pi || pi_ref) from samples of pi: Schulman 2020 (Approximating KL Divergence).

  With x = log pi_ref - log pi, clipped to +-20: k1 = -x, unbiased; k2 = x^2 / 2, low variance, its
  gradient that of the KL on policy; k3 = e^x - x - 1, unbiased and never negative, its gradient not
  that of the KL.

  Args:
    logprobs, ref_logprobs: f32[...], of the same sampled tokens.
    kind: "k1", "k2" or "k3".

  Returns:
    f32[...], in nats.
  """
  if kind not in KL_ESTIMATORS:
    raise ValueError(f"kind={kind!r} must be one of {sorted(KL_ESTIMATORS)}")
  x = jnp.clip(ref_logprobs - logprobs, -_LOG_RATIO_BOUND, _LOG_RATIO_BOUND)
  return KL_ESTIMATORS[kind](x)


def aggregate(
  values: jax.Array, mask: jax.Array, mode: str, *, length_budget: int | None = None
) -> jax.Array:
  """One figure of f32[P,G,T], as `token_weights` weighs them; masked positions may be NaN."""
  weights = token_weights(mask, mode, length_budget=length_budget)
  return jnp.sum(jnp.where(mask, values, 0) * weights)


def token_weights(
  mask: jax.Array,
  mode: str,
  *,
  length_budget: int | None = None,
  axis_name: str | None = None,
) -> jax.Array:
  """The weight of each token in the loss of the whole batch, so that its parts just add up.

  With L_i tokens in answer i, N in the batch, B answers that have any:
    token_mean: 1 / N (DAPO, eq. 8). sequence_mean: 1 / (B L_i) (GRPO, eq. 3).
    constant: 1 / (B L_max) (Dr. GRPO). sequence_sum: 1 / B.
    prompt_mean: 1 / (N_p P), N_p the tokens of the prompt's answers, P the prompts that have any.

  Args:
    mask: bool[P,G,T].
    mode: one of the above.
    length_budget: L_max; T by default.
    axis_name: the device axis that the batch is split over, if any.

  Returns:
    f32[P,G,T], 0 where masked.

  Raises:
    ValueError: an unknown mode.
  """
  chex.assert_rank(mask, 3)
  if mode not in AGGREGATIONS:
    raise ValueError(f"mode={mode!r} must be one of {sorted(AGGREGATIONS)}")

  def total(counted: jax.Array) -> jax.Array:
    count = jnp.sum(counted, dtype=jnp.float32)
    count = count if axis_name is None else jax.lax.psum(count, axis_name)
    return jnp.maximum(count, 1)

  denominator = AGGREGATIONS[mode](mask, total, length_budget or mask.shape[-1])
  return jnp.where(mask, 1 / denominator, 0)


def _k3(x: jax.Array) -> jax.Array:
  return jnp.expm1(x) - x


def _per_answer(mask: jax.Array) -> jax.Array:
  return jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)


def _per_prompt(mask: jax.Array) -> jax.Array:
  return jnp.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)


def _truncate(log_weight: jax.Array, config: LossConfig) -> jax.Array:
  """min(pi_old / mu, C): truncated importance sampling, Ionides 2008."""
  return jnp.exp(jnp.minimum(log_weight, jnp.log(config.sampler_cap)))


OBJECTIVES = {"ppo_clip": ppo_clip, "reinforce": reinforce}
KL_ESTIMATORS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "k1": lambda x: -x,
  "k2": lambda x: jnp.square(x) / 2,
  "k3": _k3,
}
AGGREGATIONS = {
  "token_mean": lambda mask, total, budget: total(mask),
  "sequence_mean": lambda mask, total, budget: total(mask.any(-1)) * _per_answer(mask),
  "constant": lambda mask, total, budget: total(mask.any(-1)) * budget,
  "sequence_sum": lambda mask, total, budget: total(mask.any(-1)),
  "prompt_mean": lambda mask, total, budget: total(mask.any((1, 2))) * _per_prompt(mask),
}
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
    "policy/kl_old": Mean.of(_k3(jax.lax.stop_gradient(log_ratio)), mask),
    "policy/ratio_max": Max.of(ratio, mask),
  }


def _mismatch_metrics(log_weight: jax.Array, mask: jax.Array) -> Metrics:
  return {
    "mismatch/log_mean": Mean.of(jnp.abs(log_weight), mask),
    "mismatch/log_max": Max.of(jnp.abs(log_weight), mask),
    "mismatch/k3": Mean.of(_k3(jnp.clip(log_weight, -_LOG_RATIO_BOUND, _LOG_RATIO_BOUND)), mask),
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
