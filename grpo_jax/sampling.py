"""From logits to tokens: temperature, top-k, top-p, min-p, and an exact draw."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import is_known, is_on

# Tokens in a block of the two-level draw; about the square root of usual vocabularies.
_BLOCK = 256


def filter_logits(
  logits: jax.Array,
  *,
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  min_p: float = 0.0,
) -> jax.Array:
  """The distribution that is sampled, as logits: what is dropped is -inf.

  Logits are divided by the temperature, then cut to the top_k likeliest tokens, then to the fewest
  whose probability reaches top_p (Holtzman et al. 2020), then to those at least min_p times as
  likely as the likeliest (Nguyen et al. 2024). Each filter renormalises before the next.

  Args:
    logits: [..., V].
    temperature: at least 0; 0 keeps the likeliest token only (the first of equals).
    top_k: 0 is off. top_p: in (0, 1], 1 is off. min_p: in [0, 1), 0 is off.

  Returns:
    f32[..., V].

  Raises:
    ValueError: an argument is out of its range.
  """
  _check_arguments(temperature, top_k, top_p, min_p)
  logits = logits.astype(jnp.float32)
  if not is_on(temperature):
    best = jnp.argmax(logits, axis=-1, keepdims=True)
    return jnp.where(jnp.arange(logits.shape[-1]) == best, logits, -jnp.inf)
  logits = logits / temperature
  if 0 < top_k < logits.shape[-1]:
    logits = _keep_top_k(logits, top_k)
  if is_on(1 - top_p):
    logits = _keep_top_p(logits, top_p)
  if is_on(min_p):
    best = jnp.max(logits, axis=-1, keepdims=True)
    logits = jnp.where(logits >= best + jnp.log(min_p), logits, -jnp.inf)
  return logits


def draw(
  keys: jax.Array,
  logits: jax.Array,
  *,
  parts: int = 1,
  whole: Callable[[jax.Array], jax.Array] = lambda sums: sums,
) -> jax.Array:
  """Draws from softmax(logits) by inverting its cumulative sum in two levels: block, then token.

  Exact, and two uniforms an answer instead of the V that the Gumbel-max trick needs. A token of
  probability zero is never drawn.

  Args:
    keys: key[...], one for each draw.
    logits: f32[..., V], -inf for tokens of probability zero.
    parts: what V is split into over devices; each then has blocks of its own.
    whole: where V is split, brings the sums of all blocks f32[..., V / block] to each:
      one small message, where searching in parts of them would take many.

  Returns:
    i32[...], each in [0, V).
  """
  chex.assert_equal_shape_prefix([keys, logits], keys.ndim)
  padding = -logits.shape[-1] % (_BLOCK * parts)
  best = jnp.max(logits, axis=-1, keepdims=True)
  weights = jnp.exp(logits - best)
  weights = jnp.pad(weights, [(0, 0)] * keys.ndim + [(0, padding)])
  blocks = weights.reshape(*keys.shape, -1, _BLOCK)
  level = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys.reshape(-1))
  level = level.reshape(*keys.shape, 2)
  block = _invert(whole(blocks.sum(axis=-1)), level[..., 0])
  chosen = whole(jnp.take_along_axis(blocks, block[..., None, None], axis=-2)[..., 0, :])
  return block * _BLOCK + _invert(chosen, level[..., 1])


def _invert(weights: jax.Array, uniform: jax.Array) -> jax.Array:
  """The first index whose cumulative weight exceeds uniform * total; f32[..., n], f32[...]."""
  cumulative = jnp.cumsum(weights, axis=-1)
  target = uniform[..., None] * cumulative[..., -1:]
  reached = (cumulative > target) & (weights > 0)
  # Rounding can leave nothing reached for a uniform next to 1: then the last possible one is it.
  last = weights.shape[-1] - 1 - jnp.argmax(weights[..., ::-1] > 0, axis=-1)
  index = jnp.where(reached.any(axis=-1), jnp.argmax(reached, axis=-1), last)
  return index.astype(jnp.int32)


def _keep_top_k(logits: jax.Array, k: int) -> jax.Array:
  _, kept = jax.lax.top_k(logits, k)
  # By index, not by value: equals of the k-th are not kept beyond k.
  mask = jnp.put_along_axis(jnp.zeros(logits.shape, bool), kept, True, axis=-1, inplace=False)
  return jnp.where(mask, logits, -jnp.inf)


def _keep_top_p(logits: jax.Array, p: float) -> jax.Array:
  order = jnp.argsort(logits, axis=-1, descending=True)
  sorted_probabilities = jax.nn.softmax(jnp.take_along_axis(logits, order, axis=-1), axis=-1)
  # Kept while the mass before a token is below p: the first that reaches it is the last kept.
  before = jnp.cumsum(sorted_probabilities, axis=-1) - sorted_probabilities
  kept = (before < p).at[..., 0].set(True)
  mask = jnp.put_along_axis(jnp.zeros(logits.shape, bool), order, kept, axis=-1, inplace=False)
  return jnp.where(mask, logits, -jnp.inf)


def _check_arguments(temperature: float, top_k: int, top_p: float, min_p: float) -> None:
  if is_known(temperature) and not temperature >= 0:  # NaN too
    raise ValueError(f"temperature={temperature} must be 0 (greedy) or above")
  if top_k < 0:
    raise ValueError(f"top_k={top_k} must be 0 (off) or above")
  if is_known(top_p) and not 0 < top_p <= 1:
    raise ValueError(f"top_p={top_p} must be in (0, 1]; 1 is off")
  if is_known(min_p) and not 0 <= min_p < 1:
    raise ValueError(f"min_p={min_p} must be in [0, 1); 0 is off")
