"""Filters against the float64 reference and by hand; draws by chi-square."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grpo_jax import sampling
from tests import references

DRAWS = 100_000
draw = jax.jit(sampling.draw)


def kept(logits, **filters) -> list[int]:
  filtered = sampling.filter_logits(jnp.asarray(logits, jnp.float32), **filters)
  return np.flatnonzero(np.isfinite(filtered)).tolist()


def probabilities(logits, **filters) -> np.ndarray:
  return np.asarray(jax.nn.softmax(sampling.filter_logits(jnp.asarray(logits), **filters)))


def log(*values) -> np.ndarray:
  return np.log(np.array(values))


@functools.partial(jax.jit, static_argnums=2)
def _draws(key, logits, batches):
  keys = jax.random.split(key, DRAWS).reshape(batches, -1)

  def batch(keys):
    return sampling.draw(keys, jnp.broadcast_to(logits, (*keys.shape, logits.size)))

  return jax.lax.map(batch, keys).ravel()


def draws(logits, seed=0) -> np.ndarray:
  """100,000 draws, in batches that fit a small memory."""
  return np.asarray(_draws(jax.random.key(seed), jnp.asarray(logits, jnp.float32), 40))


def chi_square(tokens, p) -> float:
  """The chance of counts this far from p, bins of less than 8 expected draws put together."""
  observed = np.bincount(tokens, minlength=len(p))
  assert len(observed) == len(p), "a token outside the vocabulary"
  assert not observed[p == 0].any(), "a token of probability zero"
  large = DRAWS * p >= 8
  observed, expected = (
    np.append(x[large], x[~large].sum()) for x in (observed, DRAWS * p / p.sum())
  )
  if expected[-1] < 8:
    assert observed[-1] <= expected[-1] + 8 * np.sqrt(expected[-1] + 1)
    observed, expected = observed[:-1], expected[:-1] * observed[:-1].sum() / expected[:-1].sum()
  return stats.chisquare(observed, expected).pvalue


# --- filters, by hand


def test_temperature_0_keeps_the_likeliest_only():
  assert kept([1.0, 3.0, 2.0, -1.0], temperature=0) == [1]


def test_temperature_0_keeps_the_first_of_equals():
  assert kept([1.0, 3.0, 3.0, 3.0], temperature=0) == [1]


@pytest.mark.parametrize("filters", [{"top_k": 3}, {"top_p": 0.1}, {"min_p": 0.5}])
def test_temperature_0_is_greedy_whatever_the_filters(filters):
  assert kept([1.0, 3.0, 2.9, 2.8], temperature=0, **filters) == [1]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.0])
def test_top_k_1_equals_greedy(temperature):
  logits = jax.random.normal(jax.random.key(1), (50, 33))
  greedy = sampling.filter_logits(logits, temperature=0)
  one = sampling.filter_logits(logits, temperature=temperature, top_k=1)
  np.testing.assert_array_equal(jax.nn.softmax(one), jax.nn.softmax(greedy))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_keeps_k_even_of_equals(k):
  assert len(kept([0.0, 5.0, 5.0, 5.0, 5.0], top_k=k)) == k


@pytest.mark.parametrize("k", [0, 4, 5, 100])
def test_top_k_of_all_or_more_is_off(k):
  assert kept(log(0.4, 0.3, 0.2, 0.1), top_k=k) == [0, 1, 2, 3]


@pytest.mark.parametrize(
  ("top_p", "expected"),
  [
    (0.01, [0]),
    (0.49, [0]),
    (0.51, [0, 1]),
    (0.74, [0, 1]),
    (0.76, [0, 1, 2]),
    (0.99, [0, 1, 2, 3]),
  ],
)
def test_top_p_keeps_the_token_that_reaches_the_bound(top_p, expected):
  assert kept(log(0.5, 0.25, 0.125, 0.125), top_p=top_p) == expected


def test_top_p_reached_exactly_stops_there():
  assert kept([np.log(2.0), 0.0, 0.0], top_p=0.5) == [0]


def test_top_p_keeps_by_probability_not_by_place():
  assert kept(log(0.1, 0.6, 0.05, 0.25), top_p=0.7) == [1, 3]


def test_top_p_of_a_large_vocabulary_counts_right():
  """A sum of 50,000 float32 terms: the share kept is still top_p."""
  assert abs(len(kept(np.zeros(50_000), top_p=0.9)) - 45_000) <= 5


@pytest.mark.parametrize(
  ("min_p", "expected"),
  [(0.001, [0, 1, 2]), (0.2, [0, 1, 2]), (0.21, [0, 1]), (0.59, [0, 1]), (0.9, [0])],
)
def test_min_p_keeps_what_is_that_share_of_the_likeliest(min_p, expected):
  # Shares of the likeliest: 1, 0.6, 0.2 (and a hair, against rounding).
  assert kept(log(0.5, 0.3, 0.1000001), min_p=min_p) == expected


def test_min_p_at_the_bound_keeps():
  assert kept([0.0, np.log(0.5)], min_p=0.5) == [0, 1]


def test_filters_apply_after_the_temperature():
  logits = log(0.9, 0.06, 0.04)
  assert kept(logits, top_p=0.8) == [0]
  assert kept(logits, top_p=0.8, temperature=3.0) == [0, 1, 2]
  assert kept(logits, min_p=0.2) == [0]
  assert kept(logits, min_p=0.2, temperature=3.0) == [0, 1, 2]
  assert kept(log(0.5, 0.3, 0.2), min_p=0.3, temperature=0.25) == [0]


def test_top_p_counts_what_top_k_left():
  """0.4 of all is half of what top_k leaves, so a bound of 0.55 needs the second token."""
  logits = log(0.4, 0.39, 0.11, 0.1)
  assert kept(logits, top_p=0.39) == [0]
  assert kept(logits, top_k=2, top_p=0.45) == [0]
  assert kept(logits, top_k=2, top_p=0.55) == [0, 1]
  assert kept(logits, top_p=0.8) == [0, 1, 2]
  assert kept(logits, top_k=2, top_p=0.8) == [0, 1]


def test_everything_off_leaves_the_logits_untouched():
  logits = jax.random.normal(jax.random.key(2), (3, 5, 40)) * 10
  np.testing.assert_array_equal(sampling.filter_logits(logits), logits)


def test_what_is_already_impossible_stays_so():
  assert kept([0.0, -np.inf, 1.0, -np.inf], top_k=3, top_p=0.999, min_p=0.001) == [0, 2]


def test_output_is_float32_of_any_input():
  """Pitfall 17."""
  logits = jnp.array([1.0, 2.0, 3.0], jnp.bfloat16)
  assert sampling.filter_logits(logits, temperature=0.7, top_k=2).dtype == jnp.float32


# --- filters, against the reference

FILTERS = [
  {"temperature": 0.5},
  {"temperature": 2.0},
  {"top_k": 7},
  {"top_p": 0.9},
  {"top_p": 0.3},
  {"min_p": 0.1},
  {"temperature": 0.7, "top_k": 20, "top_p": 0.9, "min_p": 0.05},
  {"temperature": 1.7, "top_k": 11, "top_p": 0.6},
  {"temperature": 0.01, "top_p": 0.9},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_filters_against_the_reference(filters):
  rows = np.random.default_rng(3).normal(size=(20, 37)) * 2
  ours = probabilities(rows, **filters)
  for row, p in zip(rows, ours, strict=True):
    expected = references.filtered_probabilities(row.astype(np.float32), **filters)
    np.testing.assert_allclose(p, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("filters", [FILTERS[0], FILTERS[6]])
def test_jit_and_batch_change_nothing(filters):
  logits = jax.random.normal(jax.random.key(4), (20, 37))
  filter_logits = functools.partial(sampling.filter_logits, **filters)
  expected = filter_logits(logits)
  np.testing.assert_allclose(jax.jit(filter_logits)(logits), expected, rtol=1e-6)
  grouped = jax.jit(filter_logits)(logits.reshape(2, 10, 37))
  np.testing.assert_allclose(grouped.reshape(20, 37), expected, rtol=1e-6)


@pytest.mark.parametrize(
  "bad",
  [
    {"temperature": -0.1},
    {"temperature": float("nan")},
    {"top_k": -1},
    {"top_p": 0.0},
    {"top_p": 1.1},
    {"top_p": float("nan")},
    {"min_p": -0.1},
    {"min_p": 1.0},
  ],
)
def test_bad_arguments_are_refused_by_name(bad):
  with pytest.raises(ValueError, match=next(iter(bad))):
    sampling.filter_logits(jnp.zeros(4), **bad)


# --- draws


@pytest.mark.parametrize("V", [7, 256, 777])
def test_draws_follow_the_distribution(V):
  logits = np.random.default_rng(V).normal(size=V).astype(np.float32) * 1.5
  p = np.exp(references.log_softmax(logits))
  tokens = draws(logits)
  assert chi_square(tokens, p) > 1e-3
  # The same counts must not fit a distribution that is a few percent off: the test has power.
  tilted = p * (1 + 0.1 * np.cos(np.arange(V)))
  assert chi_square(tokens, tilted / tilted.sum()) < 1e-4


@pytest.mark.parametrize("V", [7, 777])
def test_draws_after_every_filter_follow_what_is_left(V):
  filters = {"temperature": 0.8, "top_k": V // 2, "top_p": 0.95, "min_p": 0.02}
  logits = np.random.default_rng(V + 1).normal(size=V).astype(np.float32)
  tokens = draws(sampling.filter_logits(logits, **filters))
  assert chi_square(tokens, references.filtered_probabilities(logits, **filters)) > 1e-3


def test_a_uniform_large_vocabulary_uses_every_token():
  tokens = draws(np.zeros(777))
  assert set(tokens) == set(range(777))
  assert chi_square(tokens, np.full(777, 1 / 777)) > 1e-3


def test_neighbouring_blocks_are_chosen_alike():
  """Parity and place within the vocabulary are independent: two levels of one draw do not mix."""
  tokens = draws(np.zeros(777), seed=5)
  tokens = tokens[tokens < 768]
  table = np.zeros((6, 8))
  np.add.at(table, (tokens // 128, tokens % 8), 1)
  assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("V", [7, 777])
def test_a_token_of_probability_zero_is_never_drawn(V):
  logits = np.full(V, -np.inf)
  possible = [1, V // 2, V - 1]
  logits[possible] = [0.0, -3.0, 2.0]
  assert set(draws(logits)) == set(possible)


@pytest.mark.parametrize("only", [0, 255, 256, 776])
def test_one_possible_token_is_always_drawn(only):
  logits = np.full(777, -np.inf)
  logits[only] = -50.0
  assert set(draws(logits)) == {only}


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24])
@pytest.mark.parametrize("possible", [[5], [300], [5, 300], [776], [256, 512]])
def test_the_ends_of_the_uniform_draw_a_possible_token(monkeypatch, uniform, possible):
  """Once in 2^23 the uniform is 0, which a token of no weight must not win."""
  monkeypatch.setattr(
    jax.random, "uniform", lambda key, shape=(), *_, **__: jnp.full(shape, uniform)
  )
  logits = jnp.full((1, 777), -jnp.inf).at[0, jnp.array(possible)].set(0.1)
  assert int(sampling.draw(jax.random.split(jax.random.key(0), 1), logits)[0]) in possible


def test_logits_of_any_size_do_not_overflow():
  tokens = draws(np.array([1e4, 1e4, -1e4, *[-np.inf] * 4]))
  assert chi_square(tokens, np.array([0.5, 0.5, 0, 0, 0, 0, 0])) > 1e-3


def test_a_key_an_answer_gives_each_its_own_draw():
  """Pitfall 19: one key for a group would be G equal answers and no variance."""
  keys = jax.random.split(jax.random.key(6), (4, 8))
  tokens = draw(keys, jnp.zeros((4, 8, 777)))
  assert (tokens.shape, tokens.dtype) == ((4, 8), jnp.int32)
  assert len(np.unique(tokens)) >= 30
  same = jnp.broadcast_to(keys[0, 0], (4, 8))
  assert len(np.unique(draw(same, jnp.zeros((4, 8, 777))))) == 1


def test_a_draw_does_not_depend_on_its_neighbours():
  """Pitfall 19: the same key and logits give the same token in any batch."""
  keys = jax.random.split(jax.random.key(7), (4, 8))
  logits = jax.random.normal(jax.random.key(8), (4, 8, 777))
  together = draw(keys, logits)
  np.testing.assert_array_equal(sampling.draw(keys[1], logits[1]), together[1])
  assert draw(keys[3, 7], logits[3, 7]) == together[3, 7]
