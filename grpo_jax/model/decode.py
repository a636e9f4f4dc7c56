"""One decode step of a group: a token for each answer, its keys and values into the cache."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from flax import nnx

from grpo_jax.model.attention import group_attention
from grpo_jax.model.decoder import Decoder, Layer
from grpo_jax.model.network import KeysValues, Network, Prefix
from grpo_jax.types import Params

# One [P,G,T,K,H] pair a layer. A list, not an array: each layer's update stays in place.
Cache = list[KeysValues]


@flax.struct.dataclass
class Served:
  """Parameters laid out for decoding, once a rollout.

  A slice of a stacked weight is a copy, paid again at each token, so layers are taken apart here,
  outside the loop, and cast to the compute type.

  decoder: the decoder with its layers still stacked, for all but the layers.
  layers: one block a layer. prefix: each layer's prompt keys and values. head: [V,D].
  mask: bool[P,S] of the prompts. lengths: i32[P].
  """

  decoder: Decoder
  layers: list[Layer]
  prefix: list[KeysValues]
  head: jax.Array
  mask: jax.Array
  lengths: jax.Array


def serve(network: Network, params: Params, prefix: Prefix) -> Served:
  """Lays parameters and prompt keys out for `step`."""
  decoder = network.bind(params)
  graphdef, stacked = nnx.split(decoder.layers)
  L = network.architecture.layers

  def block(index: int) -> Layer:
    cast = jax.tree.map(lambda leaf: _served_type(leaf[index], network.dtype), stacked)
    return nnx.merge(graphdef, cast)

  return Served(
    decoder=decoder,
    layers=[block(index) for index in range(L)],
    prefix=[(prefix.keys[index], prefix.values[index]) for index in range(L)],
    head=decoder.head_weight(),
    mask=prefix.mask,
    lengths=prefix.lengths,
  )


def empty_cache(network: Network, P: int, G: int, T: int) -> Cache:
  """Zeros for T tokens of each of P x G answers."""
  a = network.architecture
  zeros = jnp.zeros((P, G, T, a.kv_heads, a.head_size), network.dtype)
  return [(zeros, zeros) for _ in range(a.layers)]


def step(served: Served, cache: Cache, tokens: jax.Array, t: jax.Array) -> tuple[jax.Array, Cache]:
  """Feeds the tokens i32[P,G] at answer position t; hidden states [P,G,D] that predict t + 1."""
  P, G = tokens.shape
  T = cache[0][0].shape[2]
  positions = jnp.broadcast_to((served.lengths + t)[:, None], (P, G))
  turn = served.decoder.turn(positions)
  seen = (jnp.arange(T) <= t)[None, None, None]
  x = served.decoder.embedded(tokens)
  updated: Cache = []
  for block, shared, own in zip(served.layers, served.prefix, cache, strict=True):

    def mix(query: Any, key: Any, value: Any, shared=shared, own=own) -> jax.Array:
      keys, values = (
        jax.lax.dynamic_update_slice_in_dim(old, new[:, :, None], t, axis=2)
        for old, new in zip(own, (key, value), strict=True)
      )
      updated.append((keys, values))
      prefix = (*shared, served.mask)
      return group_attention(query[:, :, None], keys, values, seen, prefix=prefix)[:, :, 0]

    x = block(x, turn, mix)
  return served.decoder.normed(x), updated


def _served_type(leaf: jax.Array, dtype: str) -> jax.Array:
  # Norm scales and biases are vectors: they are read in float32.
  return leaf.astype(dtype) if leaf.ndim > 1 else leaf
