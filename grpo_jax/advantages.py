"""From scored answers to what an update learns from, as an experiment shapes it."""

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import GRPO
from grpo_jax.grouping import group_advantages
from grpo_jax.losses import kl_estimate
from grpo_jax.shaping import answer_returns, gdpo_advantages, normalized, overlong_penalty


def penalties(mask: jax.Array, stage: GRPO, *, kl: jax.Array | None = None) -> jax.Array | None:
  """The over-long penalty - kl_coefficient sum_t KL_t, the last with kl_place="reward".

  Args:
    mask: bool[P,G,T], the answers' tokens.
    stage: shaping.overlong_buffer and loss.kl_*.
    kl: f32[P,G,T] to the reference, needed by kl_place="reward".

  Returns:
    f32[P,G], at most 0 but for an estimate of the KL below 0; None where the stage has neither.
  """
  found = None
  if stage.shaping.overlong_buffer:
    limit, buffer = stage.rollout.own_tokens, stage.shaping.overlong_buffer
    found = overlong_penalty(mask.sum(axis=-1), limit=limit, buffer=buffer)
  if kl is not None and stage.loss.kl_place == "reward":
    charge = -stage.loss.kl_coefficient * jnp.sum(kl, axis=-1, where=mask)
    found = charge if found is None else found + charge
  return found


def make_advantages(
  rewards: jax.Array,
  parts: jax.Array,
  weights: jax.Array,
  mask: jax.Array,
  stage: GRPO,
  *,
  kl: jax.Array | None = None,
) -> jax.Array:
  """What each answer, or each token, is worth to the update.

  rewards -> shaped -> compared within the group -> with kl_place="returns" less the KL to come ->
  whitened over tokens, if shaping asks for it; a group that was compared and has no signal stays
  at 0.

  Args:
    rewards: f32[P,G], the weighted sum; NaN where one could not be scored.
    parts, weights: f32[R,P,G] and f32[R], the raw rewards and their weights, for shaping.gdpo.
    mask: bool[P,G,T], the answers' tokens.
    stage: grouping, shaping and loss.
    kl: f32[P,G,T], see `policy_kl`; needed where kl_place is not "loss".

  Returns:
    f32[P,G], or f32[P,G,T] with whitening or kl_place="returns".
  """
  chex.assert_rank([rewards, parts, mask], [2, 3, 3])
  lengths, scored = mask.sum(axis=-1), ~jnp.isnan(rewards)
  penalty = penalties(mask, stage, kl=kl)
  if stage.shaping.gdpo:
    if penalty is not None:  # one more reward, of weight 1
      parts, weights = jnp.concatenate([parts, penalty[None]]), jnp.append(weights, 1.0)
    advantages = gdpo_advantages(parts, weights, lengths=lengths, **stage.grouping)
  else:
    shaped = rewards if penalty is None else rewards + penalty
    advantages = group_advantages(shaped, lengths=lengths, **stage.grouping)
  if kl is not None and stage.loss.kl_place == "returns":
    to_come = answer_returns(kl, mask)
    advantages = advantages[..., None] - stage.loss.kl_coefficient * to_come
  if stage.shaping.whiten:
    whole = advantages if advantages.ndim == 3 else advantages[..., None]
    whole = jnp.broadcast_to(whole, mask.shape)
    advantages = normalized(whole, mask & scored[..., None], eps=stage.grouping.eps)
    if stage.grouping.baseline != "none":
      # The batch's mean must not move a group that has nothing to say.
      moved = jnp.any(jnp.where(mask, whole, 0) != 0, axis=(1, 2), keepdims=True)
      advantages = jnp.where(moved, advantages, 0)
  return advantages


def policy_kl(logprobs: jax.Array, ref_logprobs: jax.Array, stage: GRPO) -> jax.Array:
  """KL of the sampling policy to the reference, token by token, for rewards and returns."""
  return kl_estimate(logprobs, ref_logprobs, kind=stage.loss.kl_estimator)
