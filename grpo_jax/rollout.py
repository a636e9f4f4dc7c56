"""Sampling a group of answers to each prompt: prefill once, decode, stop when all have."""

from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp

from grpo_jax import model
from grpo_jax.sampling import draw, filter_logits
from grpo_jax.types import Params, Prompts, Rollout

RolloutFn = Callable[[Params, Prompts, jax.Array], Rollout]


@flax.struct.dataclass
class _Decoding:
  """The state of the decode loop.

  t: i32[], tokens drawn so far. hidden: [P,G,D], what the next token is drawn from.
  cache: keys and values of the tokens fed so far. tokens, logprobs, mask: [P,G,T], as in Rollout.
  running: bool[P,G], false once the stop token is drawn.
  """

  t: jax.Array
  hidden: jax.Array
  cache: list
  tokens: jax.Array
  logprobs: jax.Array
  mask: jax.Array
  running: jax.Array


def make_rollout(
  network: model.Network,
  *,
  group_size: int,
  max_tokens: int,
  stop_ids: Sequence[int],
  temperature: float = 1.0,
  top_k: int = 0,
  top_p: float = 1.0,
  min_p: float = 0.0,
) -> RolloutFn:
  """Builds the pure function (params, prompts, keys) -> Rollout.

  A prompt is run once for its whole group. The loop ends when every answer has drawn a stop token,
  or at max_tokens. Keys are key[P], one a prompt; answer g draws token t with
  fold_in(fold_in(key, g), t), so an answer does not depend on its neighbours or on the devices.

  Args:
    network: the model without its parameters.
    group_size: G, answers to a prompt. max_tokens: T. stop_ids: tokens that end an answer.
    temperature, top_k, top_p, min_p: as in `sampling.filter_logits`.

  Raises:
    ValueError: a size is below 1, stop_ids is empty, or a filter is out of its range.
  """
  if group_size < 1 or max_tokens < 1 or not stop_ids:
    raise ValueError(
      f"group_size={group_size} and max_tokens={max_tokens} must be at least 1, and stop_ids="
      f"{tuple(stop_ids)} must name the tokens that end an answer"
    )
  filters: dict[str, Any] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
  }
  filter_logits(jnp.zeros(2), **filters)  # refuses bad arguments here, not in the compiled loop
  stops = jnp.asarray(stop_ids, jnp.int32)
  G, T = group_size, max_tokens

  def pick(hidden: jax.Array, head: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws a token for each answer: hidden [P,G,D] -> i32[P,G] and its log-prob f32[P,G]."""
    kept = filter_logits(model.logits(hidden, head), **filters)
    tokens = draw(keys, kept) if temperature > 0 else jnp.argmax(kept, axis=-1)
    chosen = jnp.take_along_axis(kept, tokens[..., None], axis=-1)[..., 0]
    return tokens.astype(jnp.int32), chosen - jax.nn.logsumexp(kept, axis=-1)

  def rollout(params: Params, prompts: Prompts, keys: jax.Array) -> Rollout:
    P = prompts.tokens.shape[0]
    chex.assert_shape(keys, (P,))
    hidden, prefix = network.prefill(params, prompts)
    served = model.serve(network, params, prefix)
    answer_keys = jax.vmap(
      lambda key: jax.vmap(lambda g: jax.random.fold_in(key, g))(jnp.arange(G))
    )
    group_keys = answer_keys(keys)

    def unfinished(state: _Decoding) -> jax.Array:
      return (state.t < T) & jnp.any(state.running)

    def advance(state: _Decoding) -> _Decoding:
      fold = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, state.t)))
      tokens, logprobs = pick(state.hidden, served.head, fold(group_keys))
      running = state.running & ~jnp.isin(tokens, stops)
      hidden, cache = model.step(served, state.cache, tokens, state.t)
      return _Decoding(
        t=state.t + 1,
        hidden=hidden,
        cache=cache,
        tokens=state.tokens.at[..., state.t].set(tokens),
        logprobs=state.logprobs.at[..., state.t].set(jnp.where(state.running, logprobs, 0)),
        mask=state.mask.at[..., state.t].set(state.running),
        running=running,
      )

    start = _Decoding(
      t=jnp.int32(0),
      hidden=jnp.broadcast_to(hidden[:, None], (P, G, hidden.shape[-1])),
      cache=model.empty_cache(network, P, G, T),
      tokens=jnp.zeros((P, G, T), jnp.int32),
      logprobs=jnp.zeros((P, G, T), jnp.float32),
      mask=jnp.zeros((P, G, T), bool),
      running=jnp.ones((P, G), bool),
    )
    end = jax.lax.while_loop(unfinished, advance, start)
    return Rollout(prompts, end.tokens, end.mask, end.logprobs, finished=~end.running)

  return rollout
