"""Log-probs and entropy of given tokens, without ever holding the logits of a batch."""

import chex
import jax
import jax.numpy as jnp

from grpo_jax import model
from grpo_jax.types import Params, Rollout


def token_logprobs(
  hidden: jax.Array,
  head: jax.Array,
  tokens: jax.Array,
  *,
  temperature: float = 1.0,
  chunk: int = 256,
  place: model.Placement = model.ANYWHERE,
) -> tuple[jax.Array, jax.Array]:
  """log softmax(h W^T / temperature)[token], and the entropy of that softmax, in nats.

  Logits exist for `chunk` tokens at a time, in the backward pass too, where they are recomputed.
  A chunk has tokens of all rows, so that rows on several devices are worked on together.

  Args:
    hidden: [..., D], the state that predicts each token.
    head: [V, D].
    tokens: i32[...].
    temperature: above 0; the one that the tokens were sampled with. It has no gradient.
    chunk: tokens at a time, at least 1.
    place: where rows are.

  Returns:
    f32[...] and f32[...].
  """
  chex.assert_equal_shape_prefix([hidden, tokens], tokens.ndim)
  size, D = tokens.size, hidden.shape[-1]
  chunk = min(chunk, size)
  padding = -size % chunk

  def chunks(flat: jax.Array) -> jax.Array:
    padded = jnp.pad(flat, [(0, padding)] + [(0, 0)] * (flat.ndim - 1))
    return place.rows(jnp.swapaxes(padded.reshape(chunk, -1, *flat.shape[1:]), 0, 1), axis=1)

  states, ids = chunks(hidden.reshape(size, D)), chunks(tokens.reshape(size))
  results = _by_chunks(states, head, ids, jnp.asarray(temperature, jnp.float32))
  logprobs, entropy = (y.swapaxes(0, 1).reshape(-1)[:size].reshape(tokens.shape) for y in results)
  return logprobs, entropy


@jax.custom_vjp
def _by_chunks(
  states: jax.Array, head: jax.Array, ids: jax.Array, temperature: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """`token_logprobs` of states [C,n,D] and ids i32[C,n], a chunk at a time."""
  return _by_chunks_forward(states, head, ids, temperature)[0]


def _by_chunks_forward(
  states: jax.Array, head: jax.Array, ids: jax.Array, temperature: jax.Array
) -> tuple[tuple[jax.Array, jax.Array], tuple]:
  def one(part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
    states, ids = part
    logits = model.logits(states, head) / temperature
    best = jnp.max(logits, axis=-1, keepdims=True)
    weights = jnp.exp(logits - best)
    total = jnp.sum(weights, axis=-1)
    mean = jnp.sum(weights * (logits - best), axis=-1) / total
    chosen = jnp.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
    normalizer = best[:, 0] + jnp.log(total)
    return chosen - normalizer, jnp.log(total) - mean, normalizer

  logprobs, entropy, normalizers = jax.lax.map(one, (states, ids))
  return (logprobs, entropy), (states, head, ids, temperature, normalizers, entropy)


def _by_chunks_backward(kept: tuple, d_results: tuple[jax.Array, jax.Array]) -> tuple:
  """What JAX would derive, by fewer turns over the logits and with products in the compute type.

  With z the logits and H the entropy: d log p[token] / dz = onehot - p, dH / dz = -p (log p + H).
  The head's gradient is summed over chunks in float32. Only of float16 the products are of float32,
  for most of d / dz is smaller than its smallest number.
  """
  states, head, ids, temperature, normalizers, entropy = kept
  multiplied = jnp.float32 if states.dtype == jnp.float16 else states.dtype

  def one(d_head: jax.Array, part: tuple) -> tuple[jax.Array, jax.Array]:
    states, ids, normalizer, entropy, d_logprob, d_entropy = (
      x if x.ndim > 1 else x[:, None] for x in part
    )
    log_p = model.logits(states, head) / temperature - normalizer
    onehot = jnp.arange(log_p.shape[-1]) == ids
    d_logits = d_logprob * onehot - jnp.exp(log_p) * (d_logprob + d_entropy * (log_p + entropy))
    d_logits = (d_logits / temperature).astype(multiplied)
    more = jnp.einsum("nv,nd->vd", d_logits, states, preferred_element_type=jnp.float32)
    return d_head + more, jnp.einsum("nv,vd->nd", d_logits, head).astype(states.dtype)

  parts = (states, ids, normalizers, entropy, *d_results)
  d_head, d_states = jax.lax.scan(one, jnp.zeros(head.shape, jnp.float32), parts)
  return d_states, d_head.astype(head.dtype), None, None


_by_chunks.defvjp(_by_chunks_forward, _by_chunks_backward)


def answer_logprobs(
  network: model.Network, params: Params, rollout: Rollout, *, temperature: float = 1.0
) -> tuple[jax.Array, jax.Array]:
  """Log-prob and entropy of every answer token: f32[P,G,T] twice, meaningless where masked."""
  hidden = network.answers(params, rollout.prompts, rollout.tokens)
  return head_logprobs(network, params, hidden, rollout.tokens, temperature=temperature)


def head_logprobs(
  network: model.Network,
  params: Params,
  hidden: jax.Array,
  tokens: jax.Array,
  *,
  temperature: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
  """`token_logprobs` of a network's own head and chunks."""
  return token_logprobs(
    hidden,
    network.head(params),
    tokens,
    temperature=temperature,
    chunk=network.logprob_chunk,
    place=network.place,
  )
