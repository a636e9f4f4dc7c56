"""One loss of many tokens: the weight of each in the whole batch."""

import chex
import jax
import jax.numpy as jnp


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


def _per_answer(mask: jax.Array) -> jax.Array:
  return jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)


def _per_prompt(mask: jax.Array) -> jax.Array:
  return jnp.maximum(mask.sum(axis=(1, 2), keepdims=True), 1)


AGGREGATIONS = {
  "token_mean": lambda mask, total, budget: total(mask),
  "sequence_mean": lambda mask, total, budget: total(mask.any(-1)) * _per_answer(mask),
  "constant": lambda mask, total, budget: total(mask.any(-1)) * budget,
  "sequence_sum": lambda mask, total, budget: total(mask.any(-1)),
  "prompt_mean": lambda mask, total, budget: total(mask.any((1, 2))) * _per_prompt(mask),
}
