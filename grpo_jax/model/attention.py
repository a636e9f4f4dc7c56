"""Attention of a group: G answers share one prompt's keys and values, and each has its own."""

import functools

import chex
import jax
import jax.numpy as jnp

# Finite, so that a row with nothing to attend to (padding) stays finite too.
_MASKED = -1e30
# Queries whose scores exist at one time, and the spans of them that look no further than their end.
_BLOCK = 128
_MOST_SPANS = 4


def group_attention(
  query: jax.Array,
  keys: jax.Array,
  values: jax.Array,
  mask: jax.Array,
  *,
  prefix: tuple[jax.Array, jax.Array, jax.Array] | None = None,
) -> jax.Array:
  """softmax(q k / sqrt(H)) v over an answer's own keys and, before them, its prompt's.

  The prompt's keys stay [P,K,S,H]: they are never copied for the G answers that read them. Heads
  stand before answers, and R = N / K query heads read each key head, so that no product has to
  turn its arguments first.

  Args:
    query: [P,K,G,R,T,H].
    keys, values: [P,K,G,U,H], the answers' own.
    mask: bool, broadcastable to [P,G,T,U], true where a query may look.
    prefix: keys and values [P,K,S,H] of the prompts, and where a query may look: a mask bool,
      broadcastable to [P,T,S].

  Returns:
    [P,K,G,R,T,H], in query's type; the softmax is float32.
  """
  chex.assert_rank([query, keys, values, mask], [6, 5, 5, 4])
  query = query * query.shape[-1] ** -0.5
  # Scores accumulate and stay in float32: rounded to bfloat16, they would cost a digit of softmax.
  dot = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
  scores = _masked(dot("pkgrth,pkguh->pkgrtu", query, keys), mask[:, None, :, None])
  if prefix is not None:
    prefix_keys, prefix_values, prefix_mask = prefix
    chex.assert_rank(prefix_mask, 3)
    shared = dot("pkgrth,pksh->pkgrts", query, prefix_keys)
    shared = _masked(shared, prefix_mask[:, None, None, None])
    scores = jnp.concatenate([shared, scores], axis=-1)
  weights = jax.nn.softmax(scores, axis=-1).astype(query.dtype)
  S = scores.shape[-1] - keys.shape[3]
  mixed = jnp.einsum("pkgrtu,pkguh->pkgrth", weights[..., S:], values)
  if prefix is not None:
    mixed += jnp.einsum("pkgrts,pksh->pkgrth", weights[..., :S], prefix_values)
  return mixed


def causal_attention(
  query: jax.Array,
  keys: jax.Array,
  values: jax.Array,
  *,
  visible: jax.Array | None = None,
  segments: jax.Array | None = None,
  prefix: tuple[jax.Array, jax.Array, jax.Array] | None = None,
  reach: jax.Array | None = None,
) -> jax.Array:
  """`group_attention` of T tokens that each see those up to themselves, in blocks of queries.

  Only one block's scores exist at a time: it is computed again in the backward pass. A loop and not
  unrolled blocks, which XLA would run side by side; a few spans of blocks, each with the keys up to
  its end, spare most of the products that the mask would throw away.

  Args:
    query, keys, values: as in `group_attention`, with U = T.
    visible: bool[P,T], false on keys that no token may see (padding); all may be seen by default.
    segments: i32[P,T], what a token belongs to: it sees no other segment's; all are one by default.
    prefix: keys and values [P,K,S,H] of the prompts, left-padded, and their mask bool[P,S].
    reach: i32[], tokens that a token sees, itself among them; all before it by default.
  """
  T = query.shape[4]
  blocks = -(-T // _BLOCK)
  if segments is not None:
    own_segments = jnp.pad(segments, [(0, 0), (0, blocks * _BLOCK - T)])

  @jax.checkpoint
  def block(query: jax.Array, start: jax.Array, keys: jax.Array, values: jax.Array) -> jax.Array:
    stop, size = keys.shape[3], query.shape[4]
    distance = start + jnp.arange(size)[:, None] - jnp.arange(stop)
    mask = (distance >= 0)[None]
    if reach is not None:
      mask = mask & (distance < reach)
    if visible is not None:
      mask = mask & visible[:, None, :stop]
    if segments is not None:
      own = jax.lax.dynamic_slice_in_dim(own_segments, start, size, axis=1)
      mask = mask & (own[..., None] == segments[:, None, :stop])
    shared = None if prefix is None else seen_prefix(prefix, start, size, reach)
    return group_attention(query, keys, values, mask[:, None], prefix=shared)

  if T <= _BLOCK:
    return block(query, 0, keys, values)
  per_span = max(-(-blocks // _MOST_SPANS), 2)
  query = jnp.pad(query, [(0, 0)] * 4 + [(0, blocks * _BLOCK - T), (0, 0)])
  query = jnp.moveaxis(query.reshape(*query.shape[:4], blocks, _BLOCK, -1), 4, 0)
  mixed = []
  for first in range(0, blocks, per_span):
    last = min(first + per_span, blocks)
    own = (keys[..., : last * _BLOCK, :], values[..., : last * _BLOCK, :])
    each = (query[first:last], jnp.arange(first, last) * _BLOCK)
    mixed.append(jax.lax.map(lambda x, own=own: block(*x, *own), each))
  whole = jnp.moveaxis(jnp.concatenate(mixed), 0, 4)
  return whole.reshape(*whole.shape[:4], blocks * _BLOCK, -1)[..., :T, :]


def seen_prefix(
  prefix: tuple[jax.Array, jax.Array, jax.Array],
  start: jax.Array | int,
  size: int,
  reach: jax.Array | None,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """The prefix with a mask [P,1,S] or [P,size,S]: what each of the answer's tokens start.. sees.

  Prompts end where answers start, at S, however much padding is before them.
  """
  keys, values, mask = prefix
  mask = mask[:, None]
  if reach is not None:
    S = mask.shape[-1]
    mask = mask & (S + start + jnp.arange(size)[:, None] - jnp.arange(S) < reach)
  return keys, values, mask


def heads_first(x: jax.Array) -> jax.Array:
  """Keys or values [P,G,U,K,H] -> [P,K,G,U,H]."""
  return jnp.moveaxis(x, 3, 1)


def queries_first(x: jax.Array, kv_heads: int) -> jax.Array:
  """Queries [P,G,T,N,H] -> [P,K,G,R,T,H], by the key head that they read."""
  P, G, T, N, H = x.shape
  return x.reshape(P, G, T, kv_heads, N // kv_heads, H).transpose(0, 3, 1, 4, 2, 5)


def queries_last(x: jax.Array) -> jax.Array:
  """[P,K,G,R,T,H] -> [P,G,T,N,H]."""
  P, K, G, R, T, H = x.shape
  return x.transpose(0, 2, 4, 1, 3, 5).reshape(P, G, T, K * R, H)


def _masked(scores: jax.Array, mask: jax.Array) -> jax.Array:
  return jnp.where(mask, scores, _MASKED)
