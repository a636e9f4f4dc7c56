"""Layers with a window, in every path: prompts and answers longer than it, padding before them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config, model
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model.attention import causal_attention
from grpo_jax.rollout import make_rollout
from tests import references, toys

WINDOWED = {
  "mistral": {"sliding_window": 5},
  "gemma3": toys.FAMILIES["gemma3"] | {"sliding_window": 4, "layers": 3},
}
# Prompts of 17 and 3 tokens, so that the shorter has more padding than a window is wide.
ROWS = [[*range(3, 20)], [4, 9, 2]]
T, TEMPERATURE = 12, 0.8


@functools.cache
def made(family):
  net = toys.network(**WINDOWED[family])
  return net, toys.random_params(net)


@functools.cache
def sampled(family, **settings):
  net, params = made(family)
  settings = {"group_size": 3, "max_tokens": T, "stop_ids": (-1,), "temperature": TEMPERATURE} | (
    settings
  )
  prompts = toys.prompts(ROWS, width=20, filler=7)
  return jax.jit(make_rollout(net, **settings))(
    params, prompts, jax.random.split(jax.random.key(0), len(ROWS))
  )


@pytest.mark.parametrize("family", WINDOWED)
def test_sampled_log_probs_are_the_trainers_and_the_references(family):
  """Decoding with a cache, the group's shared prompt, and float64 loops over one row: the same."""
  net, params = made(family)
  found = sampled(family)
  trained, _ = jax.jit(functools.partial(answer_logprobs, net, temperature=TEMPERATURE))(
    params, found
  )
  np.testing.assert_allclose(trained, found.logprobs, atol=1e-5)
  for p, row in enumerate(ROWS):
    answer = found.tokens[p, 1].tolist()
    logits = toys.reference_logits(net.architecture, params, row + answer)[len(row) - 1 : -1]
    expected = [references.log_softmax(z / TEMPERATURE)[t] for z, t in zip(logits, answer)]  # noqa: B905
    np.testing.assert_allclose(found.logprobs[p, 1], expected, atol=1e-4)


@pytest.mark.parametrize("family", WINDOWED)
def test_the_gradient_is_that_of_finite_differences(family):
  """Along random directions, by central differences of the reference in float64."""
  net, params = made(family)
  answers = np.random.default_rng(1).integers(0, toys.V, (len(ROWS), 2, T))
  rollout = toys.answers_of(toys.prompts(ROWS, filler=7), answers)
  loss = lambda params: jnp.sum(answer_logprobs(net, params, rollout)[0])  # noqa: E731
  gradient = jax.jit(jax.grad(loss))(params)

  def exact(params) -> float:
    total = 0.0
    for (p, _), answer in zip(np.ndindex(2, 2), answers.reshape(-1, T), strict=True):
      row = [*ROWS[p], *answer.tolist()]
      logits = toys.reference_logits(net.architecture, params, row)[len(ROWS[p]) - 1 : -1]
      total += sum(references.log_softmax(z)[t] for z, t in zip(logits, answer, strict=True))
    return total

  rng, step = np.random.default_rng(2), 1e-5
  for _ in range(3):
    along = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), params)
    ends = [
      exact(jax.tree.map(lambda w, d, s=s: np.asarray(w, np.float64) + s * d, params, along))
      for s in (step, -step)
    ]
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(along), strict=True)
    found = sum(float(np.sum(np.asarray(g, np.float64) * d)) for g, d in pairs)
    assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)


def test_what_no_window_reaches_changes_nothing():
  """Two layers of windows of 5 reach 8 tokens back; one more token, and it would show."""
  net, params = made("mistral")
  hidden = jax.jit(lambda prompts: net.prefill(params, prompts)[0])

  def last(first: int, length: int) -> np.ndarray:
    return np.asarray(hidden(toys.prompts([[first, *range(3, 2 + length)]])))

  np.testing.assert_array_equal(last(0, 10), last(1, 10))
  assert np.abs(last(0, 9) - last(1, 9)).max() > 1e-3


def test_a_window_as_long_as_the_row_is_none():
  net, params = made("mistral")
  wide, none = (toys.network(sliding_window=size) for size in (len(ROWS[0]), 0))
  prompts = toys.prompts(ROWS)
  hidden = [n.prefill(params, prompts)[0] for n in (wide, none, net)]
  np.testing.assert_array_equal(hidden[0], hidden[1])
  assert np.abs(hidden[0][0] - hidden[2][0]).max() > 1e-3


@pytest.mark.parametrize("T", [7, 128, 300])
@pytest.mark.parametrize("reach", [1, 6, 150])
def test_each_query_in_its_block_sees_its_window(T, reach):
  """Of its own tokens and of its prompt's, whose padding is 2 of 5 in the second row."""
  rng, (P, K, G, R, H, S) = np.random.default_rng(T), (2, 1, 2, 2, 4, 5)
  own, shared = (P, K, G, T, H), (P, K, S, H)
  q, k, v, ks, vs = (rng.normal(size=s) for s in ((P, K, G, R, T, H), own, own, shared, shared))
  mask = np.arange(S) >= np.array([[0], [2]])
  arrays = [jnp.asarray(x, jnp.float32) for x in (q, k, v, ks, vs)]
  prefix = (*arrays[3:], jnp.asarray(mask))
  found = jax.jit(lambda *x: causal_attention(*x, prefix=prefix, reach=jnp.int32(reach)))(
    *arrays[:3]
  )
  for t in sorted({0, 1, reach, T // 2, T - 1} & set(range(T))):
    for p, g in np.ndindex(P, G):
      keys = np.concatenate([ks[p, 0][mask[p]], k[p, 0, g, : t + 1]])[-reach:]
      values = np.concatenate([vs[p, 0][mask[p]], v[p, 0, g, : t + 1]])[-reach:]
      scores = keys @ q[p, 0, g, 1, t] / np.sqrt(H)
      share = np.exp(scores - scores.max())
      expected = share @ values / share.sum()
      np.testing.assert_allclose(found[p, 0, g, 1, t], expected, atol=1e-5)


EFFECTS = {
  "sliding_window": 5,
  "global_every": 3,
  "window_rope_theta": 20.0,
  "no_rope_every": 1,
  "score_size": 5,
  "norms_add_one": False,
  "scaled_embeddings": False,
  "activation": "silu",
}


@pytest.mark.parametrize("name", EFFECTS)
def test_every_field_changes_what_is_computed(name):
  """Those that bring weights of their own cannot be left out: a shape would not fit."""
  net, params = made("gemma3")
  other = toys.network(**WINDOWED["gemma3"] | {name: EFFECTS[name]})
  before, after = (n.prefill(params, toys.prompts(ROWS))[0] for n in (net, other))
  assert np.abs(before - after).max() > 1e-3


def test_layers_are_counted_from_one():
  """As the hub has it: the 3rd and 6th of every 3, the 2nd, 4th and 6th of every 2."""
  a = toys.architecture(layers=6, sliding_window=5, global_every=3, no_rope_every=2)
  kinds = model.layer_kinds(a)
  assert (np.asarray(kinds.reach) == 5).tolist() == [True, True, False] * 2
  assert (np.asarray(kinds.frequencies) != 0).all(-1).tolist() == [True, False] * 3
  config.check(a)
