"""One answer a few tokens at a time: prefill the prompt, then decode with a cache that stays."""

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from grpo_jax import model
from grpo_jax.rollout import pick
from grpo_jax.types import Params, Prompts


@flax.struct.dataclass
class Stream:
  """An answer under way.

  t: i32[], tokens drawn so far. hidden: [1,1,D], what the next one is drawn from. cache: keys and
  values of the tokens fed so far. prefix, mask, lengths: of the prompt, as in `model.Served`.
  """

  t: jax.Array
  hidden: jax.Array
  cache: model.Cache
  prefix: list[tuple[jax.Array, jax.Array]]
  mask: jax.Array
  lengths: jax.Array


class Streaming(NamedTuple):
  """Pure functions, each compiled by the caller.

  lay_out: parameters -> the same as decoding reads them, once.
  begin: (parameters, prompt as Prompts of one row) -> Stream.
  advance: (laid out, Stream, key, temperature f32[]) -> (Stream, tokens i32[C]); the Stream's
    memory can be given. What follows a stop token does not matter.
  """

  lay_out: Callable[[Params], model.Served]
  begin: Callable[[Params, Prompts], Stream]
  advance: Callable[..., tuple[Stream, jax.Array]]


def make_streaming(
  network: model.Network,
  *,
  max_tokens: int,
  chunk: int,
  greedy: bool = False,
  top_k: int = 0,
  top_p: float = 1.0,
  min_p: float = 0.0,
) -> Streaming:
  """Builds the functions that write one answer, `chunk` tokens a call.

  Token t is drawn with fold_in(key, t).

  Args:
    network: the model without its parameters.
    max_tokens: T, tokens that the cache has room for; a multiple of `chunk`.
    chunk: C.
    greedy: draws the likeliest token, whatever the temperature is.
    top_k, top_p, min_p: as in `sampling.filter_logits`.

  Raises:
    ValueError: max_tokens is no multiple of chunk, or a filter is out of its range.
  """
  if chunk < 1 or max_tokens % chunk or max_tokens < 1:
    raise ValueError(f"max_tokens={max_tokens} must be a multiple of chunk={chunk}")
  filters = {"top_k": top_k, "top_p": top_p, "min_p": min_p}

  def lay_out(params: Params) -> model.Served:
    a = network.architecture
    nothing = jnp.zeros((a.layers, 1, 1, a.kv_heads, a.head_size), network.dtype)
    empty = model.Prefix(nothing, nothing, jnp.zeros((1, 1), bool), jnp.zeros(1, jnp.int32))
    return model.serve(network, params, empty)

  def begin(params: Params, prompt: Prompts) -> Stream:
    hidden, prefix = network.prefill(params, prompt)
    served = model.serve(network, params, prefix)
    cache = model.empty_cache(network, 1, 1, max_tokens)
    own = (served.prefix, served.mask, served.lengths)
    return Stream(jnp.int32(0), hidden[:, None], cache, *own)

  def advance(
    served: model.Served, stream: Stream, key: jax.Array, temperature: jax.Array
  ) -> tuple[Stream, jax.Array]:
    served = served.replace(  # type: ignore[attr-defined]
      prefix=stream.prefix,
      mask=stream.mask,
      lengths=stream.lengths,
      fused=network.decodes_fused(stream.mask.shape[1]),
    )

    def one(stream: Stream, _: None) -> tuple[Stream, jax.Array]:
      own = jax.random.fold_in(key, stream.t)[None, None]
      warmth: jax.Array | float = 0.0 if greedy else temperature
      tokens = pick(network, stream.hidden, served.head, own, temperature=warmth, **filters)[0]
      hidden, cache = model.step(served, stream.cache, tokens, stream.t)
      after = stream.replace(t=stream.t + 1, hidden=hidden, cache=cache)  # type: ignore[attr-defined]
      return after, tokens[0, 0]

    return jax.lax.scan(one, stream, None, length=chunk)

  return Streaming(lay_out, begin, advance)
