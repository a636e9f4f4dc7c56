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
    temperature: above 0; the one that the tokens were sampled with.
    chunk: tokens at a time, at least 1.
    place: where rows are.

  Returns:
    f32[...] and f32[...].
  """
  chex.assert_equal_shape_prefix([hidden, tokens], tokens.ndim)
  size, D = tokens.size, hidden.shape[-1]
  chunk = min(chunk, size)
  padding = -size % chunk

  @jax.checkpoint
  def one_chunk(part: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    states, ids = part
    logits = model.logits(states, head) / temperature
    normalizer = jax.nn.logsumexp(logits, axis=-1)
    chosen = jnp.take_along_axis(logits, ids[:, None], axis=-1)[:, 0]
    log_p = logits - normalizer[:, None]
    return chosen - normalizer, -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)

  def chunks(flat: jax.Array) -> jax.Array:
    padded = jnp.pad(flat, [(0, padding)] + [(0, 0)] * (flat.ndim - 1))
    return place.rows(jnp.swapaxes(padded.reshape(chunk, -1, *flat.shape[1:]), 0, 1), axis=1)

  results = jax.lax.map(one_chunk, (chunks(hidden.reshape(size, D)), chunks(tokens.reshape(size))))
  logprobs, entropy = (y.swapaxes(0, 1).reshape(-1)[:size].reshape(tokens.shape) for y in results)
  return logprobs, entropy


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
