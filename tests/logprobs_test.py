"""Log-probs of given answers against brute force, and what must not change them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.logprobs import answer_logprobs, token_logprobs
from tests import references, toys

ROWS = [[3, 1, 4], [1], [5, 9, 2, 6, 5]]
TEMPERATURE = 0.7  # Pitfall 5: everything agrees at 1
P, G, T = 3, 2, 4


@functools.cache
def model(family="llama"):
  net = toys.network(**toys.FAMILIES[family])
  return net, toys.random_params(net)


def some_answers(seed=0, shape=(P, G, T)) -> jax.Array:
  return jnp.asarray(np.random.default_rng(seed).integers(0, toys.V, shape))


@functools.partial(jax.jit, static_argnums=0)
def logprobs(net, params, rollout):
  return answer_logprobs(net, params, rollout, temperature=TEMPERATURE)


def reference(net, params, row, answer) -> tuple[list[float], list[float]]:
  """Position t of the answer is predicted by all that stands before it, and nothing else."""
  logits = toys.reference_logits(net.architecture, params, [*row, *map(int, answer)])
  predicting = logits[len(row) - 1 : -1] / TEMPERATURE
  chosen = [references.log_softmax(z)[a] for z, a in zip(predicting, answer, strict=True)]
  return chosen, [references.entropy(z) for z in predicting]


# --- against brute force


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_every_token_of_every_family_against_the_reference(family):
  """Pitfalls 1, 2 and 5: shift, first token, unequal prompts, temperature."""
  net, params = model(family)
  tokens = some_answers()
  ours, entropies = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  for p, row in enumerate(ROWS):
    for g in range(G):
      chosen, entropy = reference(net, params, row, tokens[p, g])
      np.testing.assert_allclose(ours[p, g], chosen, atol=1e-4)
      np.testing.assert_allclose(entropies[p, g], entropy, atol=1e-4)


def test_a_one_hot_toy_gives_the_probability_of_every_sequence():
  """Pitfall 1: all answers of two tokens, each by hand from the table; together they sum to 1."""
  net = toys.markov_network()
  table = np.random.default_rng(0).normal(size=(toys.V, toys.V)) * 2
  every = np.stack(np.meshgrid(*[np.arange(toys.V)] * 2, indexing="ij"), -1).reshape(1, -1, 2)
  rollout = toys.answers_of(toys.prompts([[7, 4]], width=3), every)
  ours, _ = logprobs(net, toys.markov_params(net, table), rollout)
  log_p = np.array([references.log_softmax(row / TEMPERATURE) for row in table])
  first, second = every[0].T
  np.testing.assert_allclose(ours[0, :, 0], log_p[4, first], atol=2e-5)
  np.testing.assert_allclose(ours[0, :, 1], log_p[first, second], atol=2e-5)
  np.testing.assert_allclose(np.exp(ours.sum(-1)).sum(), 1, rtol=1e-4)


def test_answers_of_one_token():
  net, params = model()
  tokens = some_answers(shape=(P, G, 1))
  ours, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  longer = jnp.concatenate([tokens, some_answers(1, (P, G, 3))], axis=-1)
  expected, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), longer))
  np.testing.assert_allclose(ours, expected[..., :1], atol=1e-5)


# --- what must not change them


@pytest.mark.parametrize(("width", "filler"), [(6, 0), (9, 22)])
def test_left_padding_changes_nothing(width, filler):
  """Pitfall 2: neither how much of it nor what stands in it."""
  net, params = model()
  tokens = some_answers()
  expected = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  wide = toys.answers_of(toys.prompts(ROWS, width=width, filler=filler), tokens)
  for ours, theirs in zip(logprobs(net, params, wide), expected, strict=True):
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_batch_neighbours_change_nothing():
  net, params = model()
  tokens = some_answers()
  together, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  for p, row in enumerate(ROWS):
    alone = toys.answers_of(toys.prompts([row]), tokens[p : p + 1])
    np.testing.assert_allclose(logprobs(net, params, alone)[0], together[p : p + 1], atol=1e-5)


@functools.partial(jax.jit, static_argnums=0)
def gradient(net, params, prompts, tokens, weights):
  """Value and gradient of a weighted sum of log-probs and entropies."""

  def total(params):
    rollout = toys.answers_of(prompts, tokens)
    chosen, entropy = answer_logprobs(net, params, rollout, temperature=TEMPERATURE)
    return jnp.sum(weights * chosen) + 0.3 * jnp.sum(weights * entropy)

  return jax.value_and_grad(total)(params)


def gradient_inputs():
  """Token 22 stands in the padding and nowhere else; the head is not tied to the embedding."""
  weights = jnp.asarray(np.random.default_rng(5).normal(size=(P, G, T)), jnp.float32)
  return toys.prompts(ROWS, width=8, filler=22), some_answers() % 20, weights


def assert_close(ours, theirs):
  for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    np.testing.assert_allclose(one, two, atol=2e-5 * (1e-3 + np.abs(two).max()))


def test_a_shared_prefix_equals_separate_prompts_in_value_and_gradient():
  net, params = model("qwen2")
  prompts, tokens, weights = gradient_inputs()
  apart = toys.separate(prompts, G), tokens.reshape(-1, 1, T), weights.reshape(-1, 1, T)
  assert_close(gradient(net, params, prompts, tokens, weights), gradient(net, params, *apart))


def test_how_it_is_computed_changes_nothing():
  """Neither recomputing layers, nor writing them out, nor the size of a chunk."""
  net, params = model("qwen2")
  settings = {"remat": False, "unroll": 0, "logprob_chunk": 5}
  other = toys.network(**toys.FAMILIES["qwen2"], **settings)
  given = gradient_inputs()
  assert_close(gradient(other, params, *given), gradient(net, params, *given))


def test_padding_has_no_gradient():
  """Pitfall 2: what stands in the padding takes no part, and the prompt's own tokens do."""
  net, params = model("qwen2")
  _, slope = gradient(net, params, *gradient_inputs())
  np.testing.assert_array_equal(slope["embed"][22], 0)
  for token in (3, 1, 4, 5, 9, 2, 6):
    assert np.abs(slope["embed"][token]).max() > 0


def test_nothing_looks_ahead():
  """What follows a token, and what follows the stop token, changes nothing before it."""
  net, params = model()
  tokens = some_answers()
  before, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  other = tokens.at[..., 2:].set((tokens[..., 2:] + 1) % toys.V)
  after, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), other))
  np.testing.assert_array_equal(after[..., :2], before[..., :2])
  assert (np.asarray(after[..., 2:]) != np.asarray(before[..., 2:])).all()


def test_answers_of_a_group_do_not_see_one_another():
  net, params = model()
  tokens = some_answers()
  before, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), tokens))
  other = tokens.at[:, 1].set((tokens[:, 1] + 1) % toys.V)
  after, _ = logprobs(net, params, toys.answers_of(toys.prompts(ROWS), other))
  np.testing.assert_array_equal(after[:, 0], before[:, 0])


# --- chunks


def chunk_inputs(N=37, D=6, width=50):
  rng = np.random.default_rng(3)
  hidden, head = (jnp.asarray(rng.normal(size=(n, D)), jnp.float32) for n in (N, width))
  return hidden, head, jnp.asarray(rng.integers(0, width, N))


@pytest.mark.parametrize("chunk", [1, 5, 36, 37, 1000])
def test_chunks_change_neither_value_nor_gradient(chunk):
  """Pitfall 17: against log_softmax of all logits at once."""
  hidden, head, tokens = chunk_inputs()

  def chunked(hidden, head):
    chosen, entropy = token_logprobs(hidden, head, tokens, temperature=TEMPERATURE, chunk=chunk)
    return chosen.sum() + 0.3 * jnp.sin(entropy).sum(), (chosen, entropy)

  def plain(hidden, head):
    log_p = jax.nn.log_softmax(hidden @ head.T / TEMPERATURE)
    chosen, entropy = log_p[jnp.arange(37), tokens], -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)
    return chosen.sum() + 0.3 * jnp.sin(entropy).sum(), (chosen, entropy)

  ours, theirs = (
    jax.value_and_grad(f, argnums=(0, 1), has_aux=True)(hidden, head) for f in (chunked, plain)
  )
  for one, two in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
    np.testing.assert_allclose(one, two, rtol=2e-5, atol=5e-5)


def test_gradients_of_float16_are_those_of_float32():
  """Of a large vocabulary: nearly all of d / dlogits is smaller than float16's smallest number."""
  rng, V, D = np.random.default_rng(4), 30_000, 32
  hidden, head = jnp.asarray(rng.normal(size=(8, D))), jnp.asarray(rng.normal(size=(V, D)) + 1) / 4
  tokens = jnp.asarray(rng.integers(0, V, 8))

  def total(hidden, head):
    return 2e-3 * token_logprobs(hidden, head, tokens)[0].sum()

  short = [x.astype(jnp.float16) for x in (hidden, head)]
  found = jax.grad(total, argnums=(0, 1))(*short)
  expected = jax.grad(total, argnums=(0, 1))(*(x.astype(jnp.float32) for x in short))
  for one, other in zip(found, expected, strict=True):
    assert jnp.linalg.norm(one - other) < 3e-3 * jnp.linalg.norm(other)


def test_a_head_that_does_not_learn_costs_no_product():
  """As of adapters: one product less in the compiled backward pass."""
  hidden, head, tokens = chunk_inputs(N=64, D=4, width=100)

  def total(hidden, head):
    return token_logprobs(hidden, head, tokens, chunk=8)[0].sum()

  products = [
    jax.jit(jax.grad(total, argnums=which)).lower(hidden, head).compile().as_text().count(" dot(")
    for which in ((0, 1), (0,))
  ]
  assert products[0] == products[1] + 1


def test_the_logits_of_all_tokens_never_exist():
  """Pitfall 17: neither forward nor backward holds an array of tokens x vocabulary."""
  hidden, head, tokens = chunk_inputs(N=64, D=4, width=100)

  def total(hidden, head):
    return token_logprobs(hidden, head, tokens, chunk=8)[0].sum()

  sizes = list(_sizes(jax.make_jaxpr(jax.grad(total, argnums=(0, 1)))(hidden, head).jaxpr))
  assert max(sizes) >= 8 * 100, "the walk has seen a chunk"
  assert max(sizes) < 64 * 100


def _sizes(jaxpr):
  for equation in jaxpr.eqns:
    for variable in equation.outvars:
      yield variable.aval.size
    for value in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns")):
      inner = getattr(value, "jaxpr", value)
      if hasattr(inner, "eqns"):
        yield from _sizes(inner)


def test_log_probs_are_float32_of_any_type():
  """Pitfall 17, rule 7."""
  hidden, head, tokens = chunk_inputs()
  low = token_logprobs(hidden.astype(jnp.bfloat16), head.astype(jnp.bfloat16), tokens)
  assert all(x.dtype == jnp.float32 for x in low)


def test_large_logits_do_not_overflow():
  hidden, head = jnp.full((1, 4), 100.0), jnp.stack([jnp.full(4, s) for s in (25.0, -25.0, 24.0)])
  chosen, entropy = token_logprobs(hidden, head, jnp.array([1]))
  np.testing.assert_allclose(chosen, -20_000.0, rtol=1e-5)
  np.testing.assert_allclose(entropy, 0.0, atol=1e-5)


def test_a_common_shift_of_the_logits_changes_nothing():
  """All logits 300 higher: an entropy worked as log Z minus the mean logit loses three digits."""
  hidden, head, tokens = chunk_inputs()
  plain = token_logprobs(hidden, head, tokens)
  shifted = token_logprobs(
    jnp.pad(hidden, ((0, 0), (0, 1)), constant_values=300.0),
    jnp.pad(head, ((0, 0), (0, 1)), constant_values=1.0),
    tokens,
  )
  for one, two in zip(shifted, plain, strict=True):
    np.testing.assert_allclose(one, two, atol=5e-4)


def test_entropy_of_a_uniform_vocabulary_is_its_logarithm():
  chosen, entropy = token_logprobs(jnp.zeros((3, 4)), jnp.ones((50, 4)), jnp.array([0, 7, 49]))
  np.testing.assert_allclose(entropy, np.log(50), rtol=1e-6)
  np.testing.assert_allclose(chosen, -np.log(50), rtol=1e-6)
