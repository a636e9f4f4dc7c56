"""What is done to rewards and advantages besides comparing answers within their group."""

import chex
import jax
import jax.numpy as jnp

from grpo_jax.grouping import group_advantages


def overlong_penalty(lengths: jax.Array, *, limit: int, buffer: int) -> jax.Array:
  """0 up to limit - buffer, then down along a line to -1 at limit, -1 beyond: DAPO, eq. 13.

  Args:
    lengths: i32[...], tokens of each answer.
    limit: L_max, the length budget.
    buffer: L_c, in 1..limit.
  """
  return jnp.clip((limit - buffer - lengths) / buffer, -1.0, 0.0)


def gdpo_advantages(
  parts: jax.Array, weights: jax.Array, *, lengths: jax.Array | None = None, **grouping
) -> jax.Array:
  """sum_k w_k z_k normalised over the batch, z_k = reward k normalised in its group: GDPO.

  Liu et al. 2026 (arXiv 2601.05242). A reward that says nothing about a group adds 0 there.

  Args:
    parts: f32[R,P,G], the raw rewards; NaN where one could not be scored.
    weights: f32[R].
    lengths: i32[P,G], tokens of each answer.
    **grouping: how each reward is compared, as for `group_advantages`; ddof and eps are those of
      the batch's std too.

  Returns:
    f32[P,G]; an answer that a reward could not score has 0 and leaves the statistics of all.
  """
  chex.assert_rank([parts, weights], [3, 1])
  compare = jax.vmap(lambda one: group_advantages(one, lengths=lengths, **grouping))
  scored = ~jnp.isnan(parts).any(axis=0)
  mixed = jnp.tensordot(weights, compare(jnp.where(scored, parts, jnp.nan)), axes=1)
  same = {name: grouping[name] for name in ("ddof", "eps") if name in grouping}
  whole = normalized(mixed, scored, **same)
  # The batch's mean must not move a group that has nothing to say.
  return jnp.where(jnp.any(mixed != 0, axis=-1, keepdims=True), whole, 0)


def answer_returns(kl: jax.Array, mask: jax.Array) -> jax.Array:
  """sum_{s >= t} KL_s, what is still to come of an answer's KL at each token: f32[P,G,T]."""
  chex.assert_equal_shape([kl, mask])
  kept = jnp.where(mask, kl, 0)
  return jnp.flip(jnp.cumsum(jnp.flip(kept, axis=-1), axis=-1), axis=-1)


def normalized(
  values: jax.Array, mask: jax.Array, *, ddof: int = 0, eps: float = 1e-6
) -> jax.Array:
  """(x - mean) / (std + eps) over everything unmasked; 0 where masked."""
  chex.assert_equal_shape([values, mask])
  count = jnp.maximum(jnp.sum(mask), 1)
  centred = jnp.where(mask, values - jnp.sum(values, where=mask) / count, 0)
  std = jnp.sqrt(jnp.sum(jnp.square(centred)) / jnp.maximum(count - ddof, 1))
  # Equal values but for rounding carry no signal, whatever eps is.
  size = jnp.max(jnp.where(mask, jnp.abs(values), 0), initial=0)
  return jnp.where(std > 1e-6 * jnp.maximum(size, 1), centred / (std + eps), 0)
