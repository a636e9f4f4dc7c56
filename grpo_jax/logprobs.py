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
) -> tuple[jax.Array, jax.Array]:
  """log softmax(h W^T / temperature)[token], and the entropy of that softmax, in nats.

  Logits exist for `chunk` tokens at a time, in the backward pass too, where they are recomputed.

  Args:
    hidden: [..., D], the state that predicts each token.
    head: [V, D].
    tokens: i32[...].
    temperature: above 0; the one that the tokens were sampled with.
    chunk: tokens at a time, at least 1.

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

  states = jnp.pad(hidden.reshape(size, D), ((0, padding), (0, 0))).reshape(-1, chunk, D)
  ids = jnp.pad(tokens.reshape(size), (0, padding)).reshape(-1, chunk)
  results = jax.lax.map(one_chunk, (states, ids))
  logprobs, entropy = (y.reshape(-1)[:size].reshape(tokens.shape) for y in results)
  return logprobs, entropy


def answer_logprobs(
  network: model.Network, params: Params, rollout: Rollout, *, temperature: float = 1.0
) -> tuple[jax.Array, jax.Array]:
  """Log-prob and entropy of every answer token: f32[P,G,T] twice, meaningless where masked."""
  hidden = network.answers(params, rollout.prompts, rollout.tokens)
  head = network.head(params)
  return token_logprobs(
    hidden, head, rollout.tokens, temperature=temperature, chunk=network.logprob_chunk
  )
