"""Attention on an NVIDIA GPU: cuDNN's where tokens train, a kernel of ours where they decode.

Neither ever writes scores to memory. Elsewhere, and where a layer has a window, `attention` does.
"""

import functools
from typing import Literal

import chex
import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from grpo_jax.config import Architecture

# cuDNN wants an even length; a multiple of 8 keeps rows aligned.
_MULTIPLE = 8
_LONGEST_PROMPT = 1024
# Rows of queries that the matrix units take at least, and keys that a program reads at one time.
_ROWS = 16
_KEYS = 64
_LOWEST = -1e30


def has_kernels(device: jax.Device) -> bool:
  """Whether the kernels run there: an NVIDIA GPU of the Ampere generation or later."""
  if device.platform != "gpu" or "NVIDIA" not in device.device_kind:
    return False
  return tuple(map(int, device.compute_capability.split("."))) >= (8, 0)


def decodes(a: Architecture, S: int) -> bool:
  """Whether `decode_attention` takes heads of this architecture, and prompts of S tokens.

  An answer's program reads its prompt from one end to the other: a long one would keep few
  programs busy for long.
  """
  H, R = a.head_size, a.heads // a.kv_heads
  return not a.sliding_window and H in (16, 32, 64, 128) and R <= 64 and S <= _LONGEST_PROMPT


def trains(a: Architecture, dtype: str, S: int, T: int) -> bool:
  """Whether cuDNN takes heads of this architecture in this type, and rows of S + T tokens pay.

  A prompt is attended to again for each of its answers: it may not be longer than they are.
  """
  small = a.head_size <= 128 and a.head_size % 8 == 0
  return not a.sliding_window and small and dtype != "float32" and S <= T


def branch_attention(
  query: jax.Array,
  key: jax.Array,
  value: jax.Array,
  starts: jax.Array,
  shape: tuple[int, int, int],
  *,
  implementation: Literal["cudnn", "xla"] = "cudnn",
) -> jax.Array:
  """Causal attention of a prompt and its G answers, one row of tokens that branches.

  Each answer becomes a row of its own with its prompt before it, turned left until the prompt's
  padding is at the end: there a causal mask is all that is needed.

  Args:
    query, key, value: [P, S + G T, N or K, H], prompts padded on the left.
    starts: i32[P], where prompts begin.
    shape: S, G and T.
    implementation: of `jax.nn.dot_product_attention`; cuDNN needs a type of two bytes.

  Returns:
    As query; what stands at a prompt's padding is finite and has no meaning.
  """
  chex.assert_rank([query, key, value, starts], [4, 4, 4, 1])
  S, G, T = shape
  query, key, value = (_turned(_rows(x, S, G, T), starts) for x in (query, key, value))
  rows = query.shape
  query, key, value = (x.reshape(-1, *x.shape[2:]) for x in (query, key, value))
  mixed = jax.nn.dot_product_attention(
    query, key, value, is_causal=True, implementation=implementation
  )
  mixed = _turned(mixed.reshape(rows), -starts)
  P, asked, told = len(starts), mixed[:, 0, :S], mixed[:, :, S : S + T]
  return jnp.concatenate([asked, told.reshape(P, G * T, *told.shape[3:])], axis=1)


def _rows(x: jax.Array, S: int, G: int, T: int) -> jax.Array:
  """[P, S + G T, N, H] -> [P, G, S + T and some zeros, N, H]."""
  asked = jnp.broadcast_to(x[:, None, :S], (len(x), G, S, *x.shape[2:]))
  rows = jnp.concatenate([asked, x[:, S:].reshape(len(x), G, T, *x.shape[2:])], axis=2)
  return jnp.pad(rows, [(0, 0), (0, 0), (0, -(S + T) % _MULTIPLE), (0, 0), (0, 0)])


@jax.custom_vjp
def _turned(x: jax.Array, places: jax.Array) -> jax.Array:
  """x [P,G,L,...] with the rows of each prompt turned left by its i32[P].

  Its own gradient, as JAX would add into the places one by one.
  """
  at = (jnp.arange(x.shape[2]) + places[:, None]) % x.shape[2]
  return jax.vmap(lambda row, at: jnp.take(row, at, axis=1))(x, at)


_turned.defvjp(
  lambda x, places: (_turned(x, places), places), lambda places, dy: (_turned(dy, -places), None)
)


def decode_attention(
  query: jax.Array,
  keys: jax.Array,
  values: jax.Array,
  prefix: tuple[jax.Array, jax.Array],
  starts: jax.Array,
  t: jax.Array,
  *,
  interpret: bool = False,
) -> jax.Array:
  """softmax(q k / sqrt(H)) v of one token of each answer, in one kernel.

  A program of the grid has one answer and one key head. It reads the prompt's keys from where they
  begin, the answer's own up to t and no further, and keeps a running maximum and sum
  (Milakov & Gimelshein 2018, algorithm 3).

  Args:
    query: [P,K,G,R,H], R query heads read a key head.
    keys, values: [P,K,G,T,H], the answers' own, of which 0 to t are there.
    prefix: keys and values [P,K,S,H] of the prompts, padded on the left.
    starts: i32[P], where prompts begin, below S.
    t: i32[].
    interpret: runs it without a GPU, for tests.

  Returns:
    [P,K,G,R,H].
  """
  chex.assert_rank([query, keys, values, *prefix, starts, t], [5, 5, 5, 4, 4, 1, 0])
  P, K, G, R, H = query.shape
  S, T, rows = prefix[0].shape[2], keys.shape[3], max(pl.next_power_of_2(R), _ROWS)
  query = jnp.pad(query * H**-0.5, [(0, 0)] * 3 + [(0, rows - R), (0, 0)])

  def own(size: int) -> pl.BlockSpec:
    return pl.BlockSpec((None, None, None, size, H), lambda p, k, g: (p, k, g, 0, 0))

  shared = pl.BlockSpec((None, None, S, H), lambda p, k, g: (p, k, 0, 0))
  scalars = [pl.BlockSpec((n,), lambda p, k, g: (0,)) for n in (1, P)]
  mixed = pl.pallas_call(
    functools.partial(_decode_kernel, S=S),
    grid=(P, K, G),
    in_specs=[*scalars, own(rows), own(T), own(T), shared, shared],
    out_specs=own(rows),
    out_shape=jax.ShapeDtypeStruct(query.shape, query.dtype),
    compiler_params=triton.CompilerParams(num_warps=4, num_stages=2),
    interpret=interpret,
    name="decode_attention",
  )(t[None], starts, query, keys, values, *prefix)
  return mixed[..., :R, :]


def _decode_kernel(
  t_ref, starts_ref, query_ref, keys_ref, values_ref, prefix_keys_ref, prefix_values_ref, mixed_ref,
  *, S: int,
) -> None:  # fmt: skip
  """One answer and one key head: its prompt's keys from where they begin, its own up to t."""
  query = query_ref[...]
  rows, H = query.shape
  state = jnp.full(rows, _LOWEST), jnp.zeros(rows), jnp.zeros((rows, H), jnp.float32)
  start = starts_ref[pl.program_id(0)]
  state = _over(query, prefix_keys_ref, prefix_values_ref, start, S, state)
  _, total, mixed = _over(query, keys_ref, values_ref, 0, t_ref[0] + 1, state)
  mixed_ref[...] = (mixed / total[:, None]).astype(mixed_ref.dtype)


def _over(query, keys_ref, values_ref, first, last, state):
  """The state (highest score, sum of weights, weighted values) after keys first to last - 1."""
  H = query.shape[1]

  def block(index, state):
    best, total, mixed = state
    at = index * _KEYS + jnp.arange(_KEYS)
    seen = (at >= first) & (at < last)
    span = (pl.ds(index * _KEYS, _KEYS), slice(None))
    keys, values = (
      triton.load(ref.at[span], mask=jnp.broadcast_to(seen[:, None], (_KEYS, H)), other=0.0)
      for ref in (keys_ref, values_ref)
    )
    scores = jnp.where(seen[None], triton.dot(query, keys, trans_b=True), _LOWEST)
    higher = jnp.maximum(best, jnp.max(scores, axis=1))
    weights, shrunk = jnp.exp(scores - higher[:, None]), jnp.exp(best - higher)
    added = triton.dot(weights.astype(values.dtype), values)
    total = total * shrunk + jnp.sum(weights, axis=1)
    return higher, total, mixed * shrunk[:, None] + added

  return jax.lax.fori_loop(first // _KEYS, pl.cdiv(last, _KEYS), block, state)
