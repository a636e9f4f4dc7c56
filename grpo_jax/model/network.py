"""A network: the static half of a model, which turns parameters into a decoder and runs it."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from flax import nnx

from grpo_jax.config import Architecture
from grpo_jax.config import Model as ModelConfig
from grpo_jax.model import fused, lora
from grpo_jax.model.attention import causal_attention, heads_first, queries_first, queries_last
from grpo_jax.model.decoder import Decoder, Layer
from grpo_jax.model.kinds import Kinds, layer_kinds
from grpo_jax.model.placement import ANYWHERE, Placement
from grpo_jax.types import Params, Prompts

KeysValues = tuple[jax.Array, jax.Array]
LayerFn = Callable[[Layer, Kinds, jax.Array], tuple[jax.Array, Any]]


@flax.struct.dataclass
class Prefix:
  """What answers need of their prompts.

  keys, values: [L,P,S,K,H]. mask: bool[P,S]. lengths: i32[P], the position of an answer's start.
  """

  keys: jax.Array
  values: jax.Array
  mask: jax.Array
  lengths: jax.Array


@dataclasses.dataclass(frozen=True)
class Network:
  """A model without its parameters: hashable, so that it may be a static argument of jit.

  kernels: whether it runs where those of `fused` do, as `parallel` has found.
  shared: whether other policies read the same weights, with adapters of their own.
  """

  architecture: Architecture
  dtype: str = "float32"
  remat: bool = True
  unroll: int = 1
  logprob_chunk: int = 256
  compactions: int = 1
  attention: str = "auto"
  kernels: bool = False
  place: Placement = ANYWHERE
  shared: bool = False

  @classmethod
  def from_config(cls, architecture: Architecture, config: ModelConfig) -> "Network":
    """The network of an experiment: its shape, and how it is computed."""
    fields = ("dtype", "remat", "unroll", "logprob_chunk", "compactions", "attention")
    return cls(architecture, **{name: getattr(config, name) for name in fields})

  def init(self, key: jax.Array) -> Params:
    """Random float32 parameters: a nested dict of arrays, layers stacked on a leading axis."""
    decoder = Decoder(self.architecture, jnp.dtype(self.dtype), nnx.Rngs(key))
    return nnx.to_pure_dict(nnx.split(decoder)[1])

  def abstract(self) -> Params:
    """The shapes and types of the parameters, without any."""
    return jax.eval_shape(self.init, jax.random.key(0))

  def bind(self, params: Params) -> Decoder:
    """The decoder with these parameters, and with the adapters among them."""
    graphdef, state = _skeleton(self.architecture, self.dtype, lora.ranks(params))
    # Layers are gathered one at a time, where they are computed.
    around = {name: leaf for name, leaf in params.items() if name != "layers"}
    params = params | self.place.gathered(around)
    state = jax.tree.map(lambda leaf: leaf, state)  # replace_by_pure_dict writes in place
    nnx.replace_by_pure_dict(state, params)
    return nnx.merge(graphdef, state)

  def prefill(self, params: Params, prompts: Prompts) -> tuple[jax.Array, Prefix]:
    """Runs the prompts once: the last token's hidden state [P,D], and what answers attend to."""
    decoder = self.bind(params)
    positions = prompt_positions(prompts.mask)

    def layer(block: Layer, kind: Kinds, x: jax.Array) -> tuple[jax.Array, KeysValues]:
      kept = []

      def mix(query, key, value):
        kept.append((key, value))
        return _ungrouped(query, key, value, visible=prompts.mask, reach=kind.reach)

      return block(x, kind.turn(positions), mix), kept[0]

    x = decoder.embedded(prompts.tokens)
    x, (keys, values) = self._layers(decoder, layer, x)
    lengths = jnp.sum(prompts.mask, axis=-1, dtype=jnp.int32)
    keys, values = self.place.rows((keys, values), axis=1, heads=3)
    return decoder.normed(x[:, -1]), Prefix(keys, values, prompts.mask, lengths)

  def answers(self, params: Params, prompts: Prompts, tokens: jax.Array) -> jax.Array:
    """The hidden states that predict answers: tokens i32[P,G,T] -> [P,G,T,D].

    A prompt and its answers are one sequence that branches: everything but attention treats them
    as S + G (T - 1) tokens of one row, so that the prompt costs once, forward and backward.
    """
    whole, cuts = tokens.shape, self.place.cuts(*tokens.shape[:2])
    if cuts > 1:  # more devices than prompts: each has a prompt and a part of its answers
      prompts, tokens = prompts.repeated(cuts), tokens.reshape(-1, whole[1] // cuts, whole[2])
    P, G, T = tokens.shape
    S, fed = prompts.tokens.shape[1], tokens[..., :-1]
    decoder = self.bind(params)
    lengths = jnp.sum(prompts.mask, axis=-1, dtype=jnp.int32)
    answer_positions = lengths[:, None, None] + jnp.arange(T - 1)
    answer_positions = jnp.broadcast_to(answer_positions, fed.shape)
    positions = _joined(prompt_positions(prompts.mask), answer_positions)

    def layer(block: Layer, kind: Kinds, x: jax.Array) -> tuple[jax.Array, None]:
      def mix(query, key, value):
        if self.trains_fused(S, T):
          return fused.branch_attention(query, key, value, S - lengths, (S, G, T - 1))
        # Split each of q, k, v into the prompt's part and the answers' part.
        (q, own_q), (k, own_k), (v, own_v) = (
          (y[:, :S], y[:, S:].reshape(P, G, T - 1, *y.shape[2:])) for y in (query, key, value)
        )
        prefix = (jnp.moveaxis(k, 2, 1), jnp.moveaxis(v, 2, 1), prompts.mask)
        mixed = _attend(own_q, own_k, own_v, prefix=prefix, reach=kind.reach)
        return _joined(_ungrouped(q, k, v, visible=prompts.mask, reach=kind.reach), mixed)

      return block(x, kind.turn(positions), mix), None

    x, _ = self._layers(decoder, layer, decoder.embedded(_joined(prompts.tokens, fed)))
    x = decoder.normed(x[:, S - 1 :])
    first = jnp.broadcast_to(x[:, None, :1], (P, G, 1, x.shape[-1]))
    x = jnp.concatenate([first, x[:, 1:].reshape(P, G, T - 1, x.shape[-1])], axis=2)
    return x.reshape(*whole, -1)

  def sequence(self, params: Params, tokens: jax.Array, segments: jax.Array) -> jax.Array:
    """Hidden states [B,S,D] of packed rows: the one at a token predicts the token after it.

    Documents side by side see nothing of each other, and the positions of each start at 0.

    Args:
      params: parameters.
      tokens: i32[B,S].
      segments: i32[B,S], one number a document, another than its neighbour's; 0 is padding.
    """
    decoder = self.bind(params)
    positions = segment_positions(segments)

    def layer(block: Layer, kind: Kinds, x: jax.Array) -> tuple[jax.Array, None]:
      mix = functools.partial(_ungrouped, segments=segments, reach=kind.reach)
      return block(x, kind.turn(positions), mix), None

    x, _ = self._layers(decoder, layer, decoder.embedded(tokens))
    return decoder.normed(x)

  def head(self, params: Params) -> jax.Array:
    """[V,D], the rows that hidden states are compared with, in the compute type."""
    return self.bind(params).head_weight()

  @property
  def folds(self) -> bool:
    """Whether decoding adds adapters to the weights first.

    Not in short types, which would round away what an adapter adds to a large weight: answers would
    be of another policy than the update's.
    """
    return self.dtype == "float32" and not self.shared

  def decodes_fused(self, S: int) -> bool:
    """Whether a decode step attends by `fused.decode_attention`."""
    return self._may_fuse and fused.decodes(self.architecture, S)

  def trains_fused(self, S: int, T: int) -> bool:
    """Whether answers attend by `fused.branch_attention`."""
    return self._may_fuse and fused.trains(self.architecture, self.dtype, S, T)

  @property
  def _may_fuse(self) -> bool:
    # A mesh splits what it knows how to split, and knows nothing of these kernels.
    return self.kernels and self.attention == "auto" and self.place == ANYWHERE

  def _layers(self, decoder: Decoder, layer: LayerFn, x: jax.Array) -> tuple[jax.Array, Any]:
    """Scans `layer(block, kind, x) -> (x, outputs[l])` over the stacked layers."""
    graphdef, stacked = nnx.split(decoder.layers)

    def one(x: jax.Array, of_layer: tuple[Any, Kinds]) -> tuple[jax.Array, Any]:
      params, kind = of_layer
      return layer(nnx.merge(graphdef, self.place.gathered(params)), kind, self.place.rows(x))

    # Without remat the outputs of products with weights are kept; what is cheap is recomputed.
    kept = None if self.remat else jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    body = jax.checkpoint(one, policy=kept, prevent_cse=False)
    unroll = self.unroll or self.architecture.layers
    return jax.lax.scan(body, x, (stacked, layer_kinds(self.architecture)), unroll=unroll)


def prompt_positions(mask: jax.Array) -> jax.Array:
  """bool[P,S] -> i32[P,S]: 0 at the first real token, wherever the padding ends."""
  return jnp.maximum(jnp.cumsum(mask, axis=-1, dtype=jnp.int32) - 1, 0)


def segment_positions(segments: jax.Array) -> jax.Array:
  """i32[B,S] -> i32[B,S]: 0 at the first token of each segment."""
  places = jnp.arange(segments.shape[1], dtype=jnp.int32)
  starts = jnp.where(segments != jnp.roll(segments, 1, axis=1), places, 0)
  return places - jax.lax.cummax(starts, axis=1)


def _attend(query: jax.Array, key: jax.Array, value: jax.Array, **seen: Any) -> jax.Array:
  """`causal_attention` of tokens as layers have them: [P,G,T,N,H], [P,G,T,K,H] twice."""
  query, key, value = queries_first(query, key.shape[3]), heads_first(key), heads_first(value)
  return queries_last(causal_attention(query, key, value, **seen))


def _ungrouped(query: jax.Array, key: jax.Array, value: jax.Array, **seen: Any) -> jax.Array:
  """Attention of rows [P,X,...] that are no group: a group of one."""
  return _attend(query[:, None], key[:, None], value[:, None], **seen)[:, 0]


def _joined(prompt: jax.Array, answers: jax.Array) -> jax.Array:
  """[P,S,...] and [P,G,T,...] -> [P, S + G T, ...]."""
  P, G, T = answers.shape[:3]
  return jnp.concatenate([prompt, answers.reshape(P, G * T, *answers.shape[3:])], axis=1)


@functools.lru_cache
def _skeleton(
  architecture: Architecture, dtype: str, ranks: Sequence[tuple[str, int]]
) -> tuple[Any, Any]:
  """The decoder's structure, and its state as shapes."""
  make = functools.partial(Decoder, architecture, jnp.dtype(dtype), ranks=ranks)
  return nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
