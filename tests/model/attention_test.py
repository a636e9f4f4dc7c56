"""Attention against float64 loops, in blocks and whole, and what it must never read or keep."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.model.attention import causal_attention, group_attention

P, K, G, R, H, S = 2, 2, 3, 2, 4, 5
# One block, the last of one, the first of two, and an odd last one in a second span.
LENGTHS = [1, 7, 128, 129, 300]
PADDED = jnp.arange(S)[None] >= jnp.array([[0], [2]])


def inputs(T: int, seed: int = 0) -> dict:
  rng = np.random.default_rng(seed)
  shapes = {
    "query": (P, K, G, R, T, H),
    "keys": (P, K, G, T, H),
    "values": (P, K, G, T, H),
    "prefix_keys": (P, K, S, H),
    "prefix_values": (P, K, S, H),
  }
  return {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in shapes.items()}


def attend(x: dict, visible=None):
  prefix = (x["prefix_keys"], x["prefix_values"], PADDED)
  return causal_attention(x["query"], x["keys"], x["values"], visible=visible, prefix=prefix)


def by_loops(x: dict, p: int, k: int, g: int, r: int, t: int) -> np.ndarray:
  """What one token of one head reads: its prompt's real tokens, then its own up to itself."""
  x = {name: np.asarray(leaf, np.float64) for name, leaf in x.items()}
  real = np.asarray(PADDED)[p]
  keys = np.concatenate([x["prefix_keys"][p, k][real], x["keys"][p, k, g, : t + 1]])
  values = np.concatenate([x["prefix_values"][p, k][real], x["values"][p, k, g, : t + 1]])
  scores = keys @ x["query"][p, k, g, r, t] / np.sqrt(H)
  weights = np.exp(scores - scores.max())
  return weights @ values / weights.sum()


@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize("jit", [False, True])
def test_every_token_reads_its_prompt_and_what_came_before(T, jit):
  x = inputs(T)
  found = np.asarray((jax.jit(attend) if jit else attend)(x))
  for t in sorted({0, T // 2, max(T - 2, 0), T - 1}):
    for place in np.ndindex(P, K, G, R):
      np.testing.assert_allclose(found[(*place, t)], by_loops(x, *place, t), atol=1e-5)


def test_no_tokens_are_no_error():
  x = inputs(0)
  assert attend(x).shape == (P, K, G, R, 0, H)


def whole(x: dict) -> jax.Array:
  """All scores at once."""
  T = x["keys"].shape[3]
  prefix = (x["prefix_keys"], x["prefix_values"], PADDED[:, None])
  mask = jnp.tril(jnp.ones((T, T), bool))[None, None]
  return group_attention(x["query"], x["keys"], x["values"], mask, prefix=prefix)


def loss(function, x: dict) -> jax.Array:
  return jnp.sum(jnp.sin(function(x) * 3))


@pytest.mark.parametrize("T", [128, 129, 300])
def test_blocks_have_the_gradient_of_the_whole(T):
  x = inputs(T)
  found, expected = (jax.grad(functools.partial(loss, f))(x) for f in (attend, whole))
  for name in x:
    np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("T", [7, 300])
def test_what_is_not_visible_is_not_seen(T):
  """Padding on the left: whatever its keys and values hold, no token that is real changes."""
  x = inputs(T)
  visible = jnp.arange(T)[None] >= jnp.array([[0], [T // 2]])
  found = attend(x, visible)
  hidden = ~visible[:, None, None, :, None]
  other = {**x, "keys": jnp.where(hidden, 50.0, x["keys"])}
  other["values"] = jnp.where(hidden, -50.0, x["values"])
  real = np.asarray(visible)[:, None, None, None, :, None]
  np.testing.assert_allclose(
    np.where(real, found, 0), np.where(real, attend(other, visible), 0), atol=1e-6
  )
  assert not np.allclose(found, attend(other, jnp.ones((P, T), bool)))


def test_a_later_token_cannot_reach_an_earlier_one():
  x = inputs(300)
  later = {**x, "keys": x["keys"].at[..., 200:, :].set(jnp.nan)}
  np.testing.assert_array_equal(attend(later)[..., :128, :], attend(x)[..., :128, :])


def test_scores_of_a_block_at_a_time_are_in_memory():
  """FAULTS: attention that keeps [T,T] scores. Forward and backward of T = 1,024: a third."""

  def memory(function) -> int:
    gradient = jax.jit(jax.grad(functools.partial(loss, function)))
    return gradient.lower(inputs(1024)).compile().memory_analysis().temp_size_in_bytes

  assert memory(attend) < memory(whole) / 3


@pytest.mark.parametrize(("T", "spans"), [(128, 0), (256, 1), (1024, 4), (8192, 4)])
def test_the_number_of_compiled_blocks_is_bounded(T, spans):
  x = {
    name: jax.ShapeDtypeStruct((*leaf.shape[:-2], S if "prefix" in name else T, H), leaf.dtype)
    for name, leaf in inputs(1).items()
  }
  assert str(jax.make_jaxpr(attend)(x)).count("scan[") == spans
