"""From rewards to advantages: each answer is compared with the others to its prompt."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

# Rewards that differ by less, relative to the largest (or to 1), differ by rounding only.
_TOLERANCE = 1e-6


def group_advantages(
  rewards: jax.Array,
  *,
  baseline: str = "mean",
  scale: str = "group_std",
  ddof: int = 0,
  eps: float = 1e-6,
  lengths: jax.Array | None = None,
) -> jax.Array:
  """A = (r - baseline) / (scale + eps), Shao et al. 2024 (DeepSeekMath), section 4.1.2.

  With the defaults A_i = (r_i - mean(r)) / (sqrt(sum((r - mean(r))^2) / n) + eps).

  Args:
    rewards: f32[P,G]; NaN is an answer that could not be scored: it leaves its group's statistics
      and its advantage is 0.
    baseline: "mean" of the group; "leave_one_out", the mean of the other answers (RLOO);
      "length_weighted", sum(L r) / sum(L) (OPO); "none".
    scale: "group_std"; "batch_std", of all centred rewards of the batch (Magistral, ScaleRL);
      "batch_reward_std", of all rewards as they are (TRL's "batch"), so that prompts of unequal
      difficulty widen it; "group_mean" (MaxRL, for rewards of 0 and above), which gives 0 where the
      mean is 0; "none" divides by 1 (Dr. GRPO).
    ddof: the std is sqrt(sum of squares / (n - ddof)).
    eps: added to the scale.
    lengths: i32[P,G], tokens of each answer, for "length_weighted".

  Returns:
    f32[P,G]; exactly 0 in a group whose rewards are all equal, to rounding.

  Raises:
    ValueError: an unknown baseline or scale, or lengths missing where they are needed.
  """
  chex.assert_rank(rewards, 2)
  if baseline not in _BASELINES or scale not in _SCALES:
    raise ValueError(
      f"baseline={baseline!r} must be one of {sorted(_BASELINES)}, scale={scale!r} one of"
      f" {sorted(_SCALES)}"
    )
  if baseline == "length_weighted" and lengths is None:
    raise ValueError("baseline='length_weighted' needs lengths=i32[P,G]")
  rewards = jax.lax.stop_gradient(rewards.astype(jnp.float32))
  scored = ~jnp.isnan(rewards)
  rewards = jnp.where(scored, rewards, 0)
  centred = jnp.where(scored, rewards - _BASELINES[baseline](rewards, scored, lengths), 0)
  scaled = centred / _SCALES[scale](rewards, centred, scored, ddof, eps)
  # Without a baseline an answer learns from its own reward, even where all are equal.
  compared = baseline != "none" or scale == "group_std"
  kept = scored & has_signal(rewards, scored)[:, None] if compared else scored
  return jnp.where(kept, scaled, 0)


def has_signal(rewards: jax.Array, scored: jax.Array) -> jax.Array:
  """bool[P]: whether the scored rewards [P,G] of a group differ by more than rounding."""
  high = jnp.max(jnp.where(scored, rewards, -jnp.inf), axis=-1)
  low = jnp.min(jnp.where(scored, rewards, jnp.inf), axis=-1)
  size = jnp.max(jnp.where(scored, jnp.abs(rewards), 0), axis=-1)
  return high - low > _TOLERANCE * jnp.maximum(size, 1)


def _mean(values: jax.Array, scored: jax.Array) -> jax.Array:
  count = jnp.maximum(jnp.sum(scored, axis=-1, keepdims=True), 1)
  return jnp.sum(values, axis=-1, keepdims=True, where=scored) / count


def _leave_one_out(rewards: jax.Array, scored: jax.Array, _) -> jax.Array:
  others = jnp.maximum(jnp.sum(scored, axis=-1, keepdims=True) - 1, 1)
  return (jnp.sum(rewards, axis=-1, keepdims=True, where=scored) - rewards) / others


def _length_weighted(rewards: jax.Array, scored: jax.Array, lengths: jax.Array) -> jax.Array:
  chex.assert_equal_shape([rewards, lengths])
  weights = jnp.where(scored, lengths, 0).astype(jnp.float32)
  total = jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), 1)
  return jnp.sum(weights * rewards, axis=-1, keepdims=True) / total


def _std(centred: jax.Array, scored: jax.Array, ddof: int, axis) -> jax.Array:
  count = jnp.sum(scored, axis=axis, keepdims=True)
  total = jnp.sum(jnp.square(centred), axis=axis, keepdims=True, where=scored)
  return jnp.sqrt(total / jnp.maximum(count - ddof, 1))


def _group_std(rewards, centred, scored, ddof, eps) -> jax.Array:
  # Around the group's own mean, whatever the baseline.
  return _std(rewards - _mean(rewards, scored), scored, ddof, -1) + eps


def _batch_std(rewards, centred, scored, ddof, eps) -> jax.Array:
  mean = jnp.sum(centred, where=scored) / jnp.maximum(jnp.sum(scored), 1)
  return _std(centred - mean, scored, ddof, (0, 1)) + eps


def _batch_reward_std(rewards, centred, scored, ddof, eps) -> jax.Array:
  return _batch_std(rewards, rewards, scored, ddof, eps)


def _group_mean(rewards, centred, scored, ddof, eps) -> jax.Array:
  mean = _mean(rewards, scored)
  return jnp.where(mean == 0, jnp.inf, mean + eps)


_BASELINES: dict[str, Callable[..., jax.Array]] = {
  "mean": lambda rewards, scored, _: _mean(rewards, scored),
  "leave_one_out": _leave_one_out,
  "length_weighted": _length_weighted,
  "none": lambda rewards, scored, _: jnp.zeros_like(rewards),
}
_SCALES: dict[str, Callable[..., jax.Array]] = {
  "group_std": _group_std,
  "batch_std": _batch_std,
  "batch_reward_std": _batch_reward_std,
  "group_mean": _group_mean,
  "none": lambda rewards, centred, scored, ddof, eps: jnp.ones(()),
}
