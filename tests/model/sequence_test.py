"""Packed rows: each document is as if it were alone, in value and in gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.logprobs import token_logprobs
from grpo_jax.model.attention import causal_attention
from grpo_jax.model.network import segment_positions
from tests import references, toys

DOCUMENTS = [[3, 1, 4, 1, 5, 9], [2, 6], [5, 3, 5, 8, 9, 7, 9], [3], [2, 3, 8]]
# The same documents: three in a row and two in another, and one a row.
PACKED, ALONE = [[0, 1, 2], [3, 4]], [[0], [1], [2], [3], [4]]


def rows(layout, documents=DOCUMENTS, length=17, filler=0):
  """tokens and segments i32[B,S]; `filler` stands in the padding."""
  tokens = np.full((len(layout), length), filler, np.int32)
  segments = np.zeros((len(layout), length), np.int32)
  for row, indices in enumerate(layout):
    whole = [token for index in indices for token in documents[index]]
    tokens[row, : len(whole)] = whole
    marks = [mark for mark, index in enumerate(indices, 1) for _ in documents[index]]
    segments[row, : len(whole)] = marks
  return jnp.asarray(tokens), jnp.asarray(segments)


def logprobs(net, params, tokens, segments):
  """Log-probs [B,S-1] of tokens[:, 1:]."""
  hidden = net.sequence(params, tokens, segments)[:, :-1]
  return token_logprobs(hidden, net.head(params), tokens[:, 1:], chunk=net.logprob_chunk)[0]


def inside(segments):
  """bool[B,S-1]: a token whose document began before it."""
  return (segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)


def by_document(net, params, layout, **fields):
  tokens, segments = rows(layout, **fields)
  found, own = logprobs(net, params, tokens, segments), inside(segments)
  values = iter(np.asarray(found)[np.asarray(own)].tolist())
  order = [index for indices in layout for index in indices]
  each = {index: [next(values) for _ in DOCUMENTS[index][1:]] for index in order}
  return [each[index] for index in sorted(each)]


@pytest.mark.parametrize("family", toys.FAMILIES)
@pytest.mark.parametrize("layout", [PACKED, ALONE])
def test_log_probs_are_those_of_separate_documents(family, layout):
  net = toys.network(**toys.FAMILIES[family])
  params = toys.random_params(net)
  found = by_document(net, params, layout)
  for document, values in zip(DOCUMENTS, found, strict=True):
    logits = toys.reference_logits(net.architecture, params, document)
    expected = [
      references.log_softmax(before)[token]
      for before, token in zip(logits, document[1:], strict=False)
    ]
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_compiled_is_the_same():
  net = toys.network()
  params = toys.random_params(net)
  function = lambda p, t, s: logprobs(net, p, t, s)  # noqa: E731
  np.testing.assert_allclose(
    jax.jit(function)(params, *rows(PACKED)), function(params, *rows(PACKED)), atol=1e-5
  )


def gradient(net, layout, **fields):
  tokens, segments = rows(layout, **fields)

  def loss(params):
    return jnp.sum(jnp.where(inside(segments), logprobs(net, params, tokens, segments), 0))

  return jax.jit(jax.grad(loss))(toys.random_params(net))


@pytest.mark.parametrize("other", [(ALONE, {}), ([[4, 2], [3, 0, 1]], {"length": 20, "filler": 7})])
def test_the_gradient_is_the_same_packed_or_padded(other):
  """Property 1. The second: another order, more padding, and something else in it."""
  net = toys.network()
  layout, fields = other
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4),
    gradient(net, PACKED),
    gradient(net, layout, **fields),
  )


def test_one_document_knows_nothing_of_another():
  net = toys.network()
  params = toys.random_params(net)
  others = [DOCUMENTS[0], [11, 12], *DOCUMENTS[2:]]
  before = np.asarray(net.sequence(params, *rows(PACKED)))
  after = np.asarray(net.sequence(params, *rows(PACKED, documents=others)))
  changed = slice(len(DOCUMENTS[0]), len(DOCUMENTS[0]) + 2)
  assert np.abs(after[0, changed] - before[0, changed]).max() > 0.1
  np.testing.assert_array_equal(np.delete(after[0], changed, 0), np.delete(before[0], changed, 0))
  np.testing.assert_array_equal(after[1], before[1])


def test_positions_restart():
  segments = jnp.array([[1, 1, 1, 2, 3, 3, 0, 0], [1, 1, 2, 2, 2, 2, 2, 2], [0] * 8])
  expected = [[0, 1, 2, 0, 0, 1, 0, 1], [0, 1, 0, 1, 2, 3, 4, 5], list(range(8))]
  assert segment_positions(segments).tolist() == expected


@pytest.mark.parametrize(
  "T", [1, 129, *(pytest.param(n, marks=pytest.mark.slow) for n in (7, 128, 300))]
)
def test_in_blocks_a_token_sees_its_own_segment_alone(T):
  """Documents that end within a block, at its end, and that go on over several blocks."""
  rng, (P, K, G, R, H) = np.random.default_rng(T), (2, 2, 1, 2, 4)
  shapes = ((P, K, G, R, T, H), (P, K, G, T, H), (P, K, G, T, H))
  query, keys, values = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)
  marks = np.stack([np.arange(T) // 5 + 1, np.searchsorted([60, 128, 250], np.arange(T), "right")])
  found = jax.jit(causal_attention)(query, keys, values, segments=jnp.asarray(marks))
  for p in range(P):
    for mark in np.unique(marks[p]):
      own = np.flatnonzero(marks[p] == mark)
      cut = [x[p : p + 1, ..., own, :] for x in (query, keys, values)]
      expected = causal_attention(*cut)[0]
      np.testing.assert_allclose(np.asarray(found)[p][..., own, :], expected, atol=1e-5)
