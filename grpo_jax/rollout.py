"""Sampling a group of answers to each prompt: prefill once, decode, shrink as answers end."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import chex
import flax.struct
import jax
import jax.numpy as jnp

from grpo_jax import model
from grpo_jax.config import is_on
from grpo_jax.sampling import draw, filter_logits
from grpo_jax.types import Params, Prompts, Rollout

RolloutFn = Callable[[Params, Prompts, jax.Array], Rollout]


@flax.struct.dataclass
class _Decoding:
  """The state of the decode loop, whose rows are [P,G] answers, and [B,1] once it was compacted.

  t: i32[], tokens drawn so far. hidden: [P,G,D], what the next token is drawn from.
  cache: keys and values of the tokens fed so far. keys: key[P,G].
  running: bool[P,G], false once the stop token is drawn. answer: i32[P,G], which one a row is.
  tokens, logprobs, mask: [P G, T] of all answers, as in Rollout.
  """

  t: jax.Array
  hidden: jax.Array
  cache: model.Cache
  keys: jax.Array
  running: jax.Array
  answer: jax.Array
  tokens: jax.Array
  logprobs: jax.Array
  mask: jax.Array


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
  or at max_tokens; on the way, when only half of the answers still run, it goes on with these.
  Keys are key[P], one a prompt; answer g draws token t with fold_in(fold_in(key, g), t), so an
  answer does not depend on its neighbours or on the devices.

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
  T = max_tokens

  def advance(served: model.Served, state: _Decoding) -> _Decoding:
    fold = jax.vmap(jax.vmap(lambda key: jax.random.fold_in(key, state.t)))
    tokens, logprobs = pick(network, state.hidden, served.head, fold(state.keys), **filters)
    hidden, cache = model.step(served, state.cache, tokens, state.t)
    put = functools.partial(_put, state)
    return state.replace(  # type: ignore[attr-defined]
      t=state.t + 1,
      hidden=hidden,
      cache=cache,
      running=state.running & ~jnp.isin(tokens, stops),
      tokens=put(state.tokens, tokens),
      logprobs=put(state.logprobs, jnp.where(state.running, logprobs, 0)),
      mask=put(state.mask, state.running),
    )

  def rollout(params: Params, prompts: Prompts, keys: jax.Array) -> Rollout:
    P, G = len(prompts.tokens), group_size
    chex.assert_shape(keys, (P,))
    each = jax.vmap(lambda key: jax.vmap(lambda g: jax.random.fold_in(key, g))(jnp.arange(G)))
    cuts = network.place.cuts(P, G)  # more devices than prompts: each has a part of a group
    state = decoded(params, prompts.repeated(cuts), each(keys).reshape(P * cuts, G // cuts))
    tokens, logprobs, mask = (
      leaf.reshape(P, G, T) for leaf in (state.tokens, state.logprobs, state.mask)
    )
    ended = jnp.any(mask & jnp.isin(tokens, stops), axis=-1)
    return Rollout(prompts, tokens, mask, logprobs, finished=ended)

  def decoded(params: Params, prompts: Prompts, keys: jax.Array) -> _Decoding:
    """The state after the last token of all answers, drawn with keys key[P,G]."""
    (P, S), G = prompts.tokens.shape, keys.shape[1]
    hidden, prefix = network.prefill(params, prompts)
    served = model.serve(network, params, prefix)
    state = _undrawn(network, hidden, keys, T)
    for rows in (*batch_sizes(P, G, S, T, network.compactions), 0):

      def unfinished(state: _Decoding, rows: int = rows) -> jax.Array:
        return (state.t < T) & (jnp.sum(state.running) > rows)

      with jax.named_scope("decode"):
        state = jax.lax.while_loop(unfinished, functools.partial(advance, served), state)
      if rows:
        served, state = _compacted(served, state, rows)
    return state

  return rollout


def pick(
  network: model.Network, hidden: jax.Array, head: jax.Array, keys: jax.Array, **filters: Any
) -> tuple[jax.Array, jax.Array]:
  """Draws a token for each answer.

  Args:
    network: the model without its parameters. hidden: [P,G,D]. head: [V,D]. keys: key[P,G].
    filters: temperature, top_k, top_p, min_p, as in `sampling.filter_logits`.

  Returns:
    i32[P,G], and the log-prob f32[P,G] of each under the distribution that it was drawn from.
  """
  kept = filter_logits(model.served_logits(hidden, head), **filters)
  if is_on(filters["temperature"]):
    tokens = draw(keys, kept, parts=network.place.parts, whole=network.place.rows)
  else:
    tokens = jnp.argmax(kept, axis=-1)
  chosen = jnp.take_along_axis(kept, tokens[..., None], axis=-1)[..., 0]
  return tokens.astype(jnp.int32), chosen - jax.nn.logsumexp(kept, axis=-1)


def batch_sizes(P: int, G: int, S: int, T: int, compactions: int) -> list[int]:
  """The numbers of rows that a decode step of P x G answers shrinks to, largest first.

  Halves, down to 8. Compacted, each row has a copy of its prompt's keys: sizes that would need more
  memory than the whole batch are left out.
  """
  halves = [P * G >> n for n in range(1, compactions + 1)]
  return [rows for rows in halves if rows >= 8 and rows * (S + T) <= P * S + P * G * T]


def _undrawn(network: model.Network, hidden: jax.Array, keys: jax.Array, T: int) -> _Decoding:
  """The state before the first token: hidden [P,D] of each prompt's last, keys key[P,G]."""
  P, G = keys.shape
  rows = network.place.rows
  return _Decoding(
    t=jnp.int32(0),
    hidden=rows(jnp.broadcast_to(hidden[:, None], (P, G, hidden.shape[-1]))),
    cache=model.empty_cache(network, P, G, T),
    keys=keys,
    running=jnp.ones((P, G), bool),
    answer=jnp.arange(P * G).reshape(P, G),
    tokens=rows(jnp.zeros((P * G, T), jnp.int32)),
    logprobs=rows(jnp.zeros((P * G, T), jnp.float32)),
    mask=rows(jnp.zeros((P * G, T), bool)),
  )


def _put(state: _Decoding, whole: jax.Array, values: jax.Array) -> jax.Array:
  """[P G, T] of all answers with the values of those that still run at token t."""
  if values.size == whole.shape[0]:  # nothing was compacted: a column, each row where it is
    return jax.lax.dynamic_update_slice_in_dim(whole, values.reshape(-1, 1), state.t, axis=1)
  return whole.at[state.answer, state.t].set(values)


def _compacted(served: model.Served, state: _Decoding, rows: int) -> tuple[model.Served, _Decoding]:
  """The unfinished answers, at most `rows`, made up to `rows` by finished ones."""
  kept = jnp.argsort(~state.running.reshape(-1), stable=True)[:rows]
  served, cache = model.compact(served, state.cache, kept)
  whole = {
    name: getattr(state, name).reshape(-1, *getattr(state, name).shape[2:])[kept][:, None]
    for name in ("hidden", "keys", "running", "answer")
  }
  return served, state.replace(cache=cache, **whole)  # type: ignore[attr-defined]
