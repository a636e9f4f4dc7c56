"""One decode step of a group: a token for each answer, its keys and values into the cache."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from flax import nnx

from grpo_jax.model.attention import group_attention, queries_first, queries_last, seen_prefix
from grpo_jax.model.decoder import Decoder, Layer
from grpo_jax.model.fused import decode_attention
from grpo_jax.model.kinds import Kinds, layer_kinds
from grpo_jax.model.network import KeysValues, Network, Prefix
from grpo_jax.model.placement import ANYWHERE
from grpo_jax.types import Params

# One [P,K,G,T,H] pair a layer. A list, not an array: each layer's update stays in place.
Cache = list[KeysValues]


@flax.struct.dataclass
class Served:
  """Parameters laid out for decoding, once a rollout.

  A slice of a stacked weight is a copy, paid again at each token, so layers are taken apart here,
  outside the loop, cast to the compute type and turned as `Layer.serve` has them.

  decoder: the decoder with its layers still stacked, for all but the layers.
  layers: one block a layer. kinds: of each layer. head: [V,D].
  prefix: each layer's keys and values [P,K,S,H] of the prompts. mask: bool[P,S]. lengths: i32[P].
  fused: whether `fused.decode_attention` attends.
  """

  decoder: Decoder
  layers: list[Layer]
  kinds: list[Kinds]
  head: jax.Array
  prefix: list[KeysValues]
  mask: jax.Array
  lengths: jax.Array
  fused: bool = flax.struct.field(pytree_node=False, default=False)


def serve(network: Network, params: Params, prefix: Prefix) -> Served:
  """Lays parameters and prompt keys out for `step`."""
  decoder = network.bind(params)
  graphdef, stacked = nnx.split(decoder.layers)
  count, kinds = network.architecture.layers, layer_kinds(network.architecture)

  def block(index: int) -> Layer:
    layer = nnx.merge(graphdef, jax.tree.map(lambda leaf: leaf[index], stacked))
    layer.serve(network.place.served, fold=network.folds, join=network.place == ANYWHERE)
    return layer

  keys, values = (jnp.moveaxis(leaf, 3, 2) for leaf in (prefix.keys, prefix.values))
  return Served(
    decoder=decoder,
    layers=[block(index) for index in range(count)],
    kinds=[kinds.of(index) for index in range(count)],
    head=network.place.served("head", decoder.head_weight()),
    prefix=list(zip(keys, values, strict=True)),
    mask=prefix.mask,
    lengths=prefix.lengths,
    fused=network.decodes_fused(prefix.mask.shape[1]),
  )


def empty_cache(network: Network, P: int, G: int, T: int) -> Cache:
  """Zeros for T tokens of each of P x G answers."""
  a = network.architecture
  zeros = jnp.zeros((P, a.kv_heads, G, T, a.head_size), network.dtype)
  zeros = network.place.rows(zeros, heads=1)
  return [(zeros, zeros) for _ in range(a.layers)]


def step(served: Served, cache: Cache, tokens: jax.Array, t: jax.Array) -> tuple[jax.Array, Cache]:
  """Feeds the tokens i32[P,G] at answer position t; hidden states [P,G,D] that predict t + 1."""
  P, G = tokens.shape
  T = cache[0][0].shape[3]
  positions = jnp.broadcast_to((served.lengths + t)[:, None], (P, G))
  distance = t - jnp.arange(T)
  x = served.decoder.embedded(tokens)
  updated: Cache = []
  layers = zip(served.layers, served.kinds, served.prefix, cache, strict=True)
  for block, kind, shared, own in layers:
    seen = distance >= 0
    if kind.reach is not None:
      seen = seen & (distance < kind.reach)
    prefix = seen_prefix((*shared, served.mask), t, 1, kind.reach)

    def mix(query: Any, key: Any, value: Any, own=own, seen=seen, prefix=prefix) -> jax.Array:
      keys, values = (
        jax.lax.dynamic_update_slice_in_dim(old, jnp.moveaxis(new, 2, 1)[:, :, :, None], t, axis=3)
        for old, new in zip(own, (key, value), strict=True)
      )
      updated.append((keys, values))
      query = queries_first(query[:, :, None], keys.shape[1])
      if served.fused:
        starts = served.mask.shape[1] - served.lengths
        mixed = decode_attention(query[..., 0, :], keys, values, prefix[:2], starts, t)
        return queries_last(mixed[..., None, :])[:, :, 0]
      mixed = group_attention(query, keys, values, seen[None, None, None], prefix=prefix)
      return queries_last(mixed)[:, :, 0]

    x = block(x, kind.turn(positions), mix)
  return served.decoder.normed(x), updated


def compact(served: Served, cache: Cache, rows: jax.Array) -> tuple[Served, Cache]:
  """The answers `rows`, i32[B] into [P x G], each as a prompt's only one: P = B and G = 1 after."""
  G = cache[0][0].shape[2]

  def kept(leaf: jax.Array) -> jax.Array:
    flat = jnp.moveaxis(leaf, 2, 1).reshape(-1, leaf.shape[1], *leaf.shape[3:])
    return flat[rows][:, :, None]

  asked = {
    name: jax.tree.map(lambda leaf: leaf[rows // G], getattr(served, name))
    for name in ("prefix", "mask", "lengths")
  }
  return served.replace(**asked), jax.tree.map(kept, cache)  # type: ignore[attr-defined]
