"""The decoder: one flax.nnx module for all families; fields of its architecture vary it."""

import itertools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from grpo_jax.config import Architecture
from grpo_jax.model import lora
from grpo_jax.model.linear import few_rows, gated, linear, served_linear

# (query [P,X,N,H], key [P,X,K,H], value [P,X,K,H]) -> mixed values [P,X,N,H]
Mixer = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def rms_norm(x: jax.Array, scale: jax.Array, eps: float) -> jax.Array:
  """x / sqrt(mean(x^2) + eps) * scale over the last axis, in float32; Zhang & Sennrich 2019."""
  y = x.astype(jnp.float32)
  y = y * jax.lax.rsqrt(jnp.mean(jnp.square(y), axis=-1, keepdims=True) + eps)
  return (y * scale).astype(x.dtype)


def norm(a: Architecture, x: jax.Array, weight: jax.Array) -> jax.Array:
  """`rms_norm` as an architecture has it: some families keep what their scales are above 1."""
  return rms_norm(x, 1 + weight if a.norms_add_one else weight, a.norm_eps)


def norm_weight(a: Architecture, size: int) -> nnx.Param:
  """The weight of a `norm` that scales by 1."""
  # Typed: the strong type that an update gives it would make every program compile again.
  return nnx.Param(jnp.full(size, 0.0 if a.norms_add_one else 1.0, jnp.float32))


# Weights that read the same input.
ATTENDING = ("query", "key", "value")
GATED = ("gate", "up")


class Layer(nnx.Module):
  """One pre-norm block: grouped-query attention, then a gated feed-forward.

  ranks: of the low-rank adapters beside its weights, by their names; see `model.lora`.
  """

  def __init__(
    self,
    architecture: Architecture,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    ranks: Sequence[tuple[str, int]] = (),
  ):
    a = self.architecture = architecture
    self.dtype = dtype
    self.served, self.joined = False, False
    D, N, K, H, F = a.hidden_size, a.heads, a.kv_heads, a.head_size, a.ffn_size

    def normal(*shape, fan_in):
      # Residual branches end in output and down, narrower by depth as GPT-2 has it.
      return nnx.Param(jax.random.normal(rngs.params(), shape) * fan_in**-0.5)

    narrow = (2 * a.layers) ** -0.5
    self.attention_norm = norm_weight(a, D)
    self.query = normal(D, N, H, fan_in=D)
    self.key = normal(D, K, H, fan_in=D)
    self.value = normal(D, K, H, fan_in=D)
    self.output = normal(N, H, D, fan_in=N * H / narrow**2)
    if a.qkv_bias:
      self.query_bias = nnx.Param(jnp.zeros((N, H)))
      self.key_bias = nnx.Param(jnp.zeros((K, H)))
      self.value_bias = nnx.Param(jnp.zeros((K, H)))
    if a.qk_norm:
      self.query_norm = norm_weight(a, H)
      self.key_norm = norm_weight(a, H)
    if a.post_norms:
      self.attention_post_norm = norm_weight(a, D)
      self.ffn_post_norm = norm_weight(a, D)
    self.ffn_norm = norm_weight(a, D)
    self.gate = normal(D, F, fan_in=D)
    self.up = normal(D, F, fan_in=D)
    self.down = normal(F, D, fan_in=F / narrow**2)
    self.adapted = tuple(name for name, _ in ranks)
    for name, rank in ranks:
      shape, inputs = getattr(self, name).shape, lora.INPUTS.get(name, 1)
      setattr(self, f"{name}_a", nnx.Param(jnp.zeros((*shape[:inputs], rank))))
      setattr(self, f"{name}_b", nnx.Param(jnp.zeros((rank, *shape[inputs:]))))
    if ranks:
      self.adapter_scale = nnx.Param(jnp.ones(()))

  def __call__(self, x: jax.Array, turn: Callable, mix: Mixer) -> jax.Array:
    """x [P,X,D] -> [P,X,D]; `turn` applies the rotary embedding, `mix` attends."""
    mixed = self._attention(self._norm(x, "attention_norm"), turn, mix)
    x = x + self._after(mixed, "attention_post_norm")
    return x + self._after(self._ffn(self._norm(x, "ffn_norm")), "ffn_post_norm")

  def _ffn(self, y: jax.Array) -> jax.Array:
    gate, up = self._linears(y, GATED)
    return self._linear(gated(gate, up, self.architecture.activation), "down")

  def _attention(self, y: jax.Array, turn: Callable, mix: Mixer) -> jax.Array:
    a = self.architecture
    query, key, value = self._linears(y, ATTENDING)
    if a.qkv_bias:
      query += self.query_bias[...].astype(self.dtype)
      key += self.key_bias[...].astype(self.dtype)
      value += self.value_bias[...].astype(self.dtype)
    if a.qk_norm:
      query, key = self._norm(query, "query_norm"), self._norm(key, "key_norm")
    if a.score_size:  # attention divides by the root of head_size
      query = query * (a.head_size / a.score_size) ** 0.5
    return self._linear(mix(turn(query), turn(key), value), "output")

  def _norm(self, x: jax.Array, name: str) -> jax.Array:
    return norm(self.architecture, x, getattr(self, name)[...])

  def _after(self, x: jax.Array, name: str) -> jax.Array:
    return self._norm(x, name) if self.architecture.post_norms else x

  def _linear(self, x: jax.Array, name: str) -> jax.Array:
    inputs, product = lora.INPUTS.get(name, 1), served_linear if self.served else linear
    return self._adapted(x, product(x, self._weight(name), inputs=inputs), name)

  def _adapted(self, x: jax.Array, y: jax.Array, name: str) -> jax.Array:
    """y, what the adapter of this weight makes of x added to it."""
    if name not in self.adapted:
      return y
    inputs = lora.INPUTS.get(name, 1)
    low = linear(x, self._weight(f"{name}_a"), inputs=inputs) * self._weight("adapter_scale")
    return y + linear(low, self._weight(f"{name}_b"))

  def _linears(self, x: jax.Array, names: tuple[str, ...]) -> list[jax.Array]:
    """Products of one input with several weights; one product where they were joined."""
    if not self.joined:
      return [self._linear(x, name) for name in names]
    outputs = [getattr(self, name).shape[:-1] for name in names]
    whole = served_linear(x, getattr(self, "_".join(names))[...])
    ends = itertools.accumulate(math.prod(shape) for shape in outputs[:-1])
    parts = jnp.split(whole, list(ends), axis=-1)
    return [
      self._adapted(x, part.reshape(*x.shape[:-1], *shape), name)
      for part, shape, name in zip(parts, outputs, names, strict=True)
    ]

  def _weight(self, name: str) -> jax.Array:
    return getattr(self, name)[...].astype(self.dtype)

  def serve(
    self, place: Callable[[str, jax.Array], jax.Array], *, fold: bool, join: bool = False
  ) -> None:
    """Lays the weights out for decoding: the compute type, one row of inputs an output.

    place: (name, weight) -> the weight where it is to be read.
    fold: adds the adapters to the weights, so that they cost nothing at a token.
    join: those that read the same input become one, whose product is one kernel; not on a mesh,
      where each is split over devices by itself.
    """
    if fold:
      for name in self.adapted:
        low, up = getattr(self, f"{name}_a"), getattr(self, f"{name}_b")
        weight, scale = getattr(self, name), self.adapter_scale[...]
        weight.set_value(weight[...] + lora.product(low[...], up[...], scale))
      self.adapted = ()
    self.served = True
    for name in ("query", "key", "value", "output", "gate", "up", "down"):
      inputs = range(lora.INPUTS.get(name, 1))
      turned = jnp.moveaxis(self._weight(name), inputs, range(-len(inputs), 0))
      getattr(self, name).set_value(place(name, turned))
    self.joined = join
    for names in (ATTENDING, GATED) if join else ():
      rows = [getattr(self, name)[...].reshape(-1, self.architecture.hidden_size) for name in names]
      setattr(self, "_".join(names), nnx.Param(jnp.concatenate(rows)))


class Decoder(nnx.Module):
  """Embedding, L stacked layers, final norm and head. Parameters are float32."""

  def __init__(
    self,
    architecture: Architecture,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
    ranks: Sequence[tuple[str, int]] = (),
  ):
    a = self.architecture = architecture
    self.dtype = dtype
    self.embed = nnx.Param(jax.random.normal(rngs.params(), (a.vocab_size, a.hidden_size)) * 0.02)

    @nnx.split_rngs(splits=a.layers)
    @nnx.vmap
    def stack(rngs: nnx.Rngs) -> Layer:
      return Layer(a, dtype, rngs, ranks)

    self.layers = stack(rngs)
    self.final_norm = norm_weight(a, a.hidden_size)
    if not a.tied_embeddings:
      noise = jax.random.normal(rngs.params(), (a.hidden_size, a.vocab_size))
      self.head = nnx.Param(noise * a.hidden_size**-0.5)

  def embedded(self, tokens: jax.Array) -> jax.Array:
    """i32[P,X] -> [P,X,D] in the compute type."""
    x = self.embed[...][tokens]
    if self.architecture.scaled_embeddings:
      x = x * self.architecture.hidden_size**0.5
    return x.astype(self.dtype)

  def normed(self, x: jax.Array) -> jax.Array:
    """The last norm: what the head reads."""
    return norm(self.architecture, x, self.final_norm[...])

  def head_weight(self) -> jax.Array:
    """[V,D] or its transpose's transpose: rows are tokens, in the compute type."""
    tied = self.architecture.tied_embeddings
    weight = self.embed[...] if tied else self.head[...].T
    return weight.astype(self.dtype)


def served_logits(hidden: jax.Array, head: jax.Array) -> jax.Array:
  """`logits` of a decode step: few rows."""
  y = few_rows(hidden.reshape(-1, hidden.shape[-1]), head, "float32")
  return y.reshape(*hidden.shape[:-1], -1)


def logits(hidden: jax.Array, head: jax.Array) -> jax.Array:
  """hidden [..., D], head [V, D] -> f32[..., V]."""
  return jnp.einsum("...d,vd->...v", hidden, head, preferred_element_type=jnp.float32)
