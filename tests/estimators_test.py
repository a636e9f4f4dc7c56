"""pass@k, votes and intervals against values worked by hand and exact references."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax.estimators import bootstrap, majority, majority_at_k, pass_at_k, wilson


@pytest.mark.parametrize(
  ("n", "c", "k", "value"),
  [
    (4, 1, 2, 0.5),
    (4, 0, 4, 0.0),
    (4, 4, 1, 1.0),
    (4, 2, 2, 5 / 6),
    (5, 1, 5, 1.0),
    (5, 2, 4, 1.0),
    (10, 3, 1, 0.3),
    (1, 1, 1, 1.0),
  ],
)
def test_pass_at_k_by_hand(n, c, k, value):
  assert pass_at_k(n, np.array([c]), k)[0] == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("n", [1, 2, 7, 16, 200])
def test_pass_at_k_is_the_binomial_formula(n):
  for k in {1, 2, n // 2 or 1, n}:
    if k <= n:
      exact = [float(1 - Fraction(math.comb(n - c, k), math.comb(n, k))) for c in range(n + 1)]
      np.testing.assert_allclose(pass_at_k(n, np.arange(n + 1), k), exact, atol=1e-13)


def test_pass_at_k_of_many_answers_does_not_overflow():
  """C(5000, 2500) is beyond any float."""
  value = pass_at_k(5000, np.array([1]), 2500)[0]
  assert value == pytest.approx(0.5, abs=1e-10)


@given(st.integers(1, 64), st.data())
@settings(max_examples=100, deadline=None)
def test_pass_at_k_rises_with_k_and_with_right_answers(n, data):
  c = data.draw(st.integers(0, n))
  values = [pass_at_k(n, np.array([c]), k)[0] for k in range(1, n + 1)]
  assert values[0] == pytest.approx(c / n, abs=1e-12)
  assert values[-1] == pytest.approx(float(c > 0), abs=1e-12)
  assert all(0 <= a <= b + 1e-12 <= 1 + 2e-12 for a, b in itertools.pairwise(values))
  k = data.draw(st.integers(1, n))
  assert (np.diff(pass_at_k(n, np.arange(n + 1), k)) >= -1e-12).all()


@given(st.integers(1, 8), st.data())
@settings(max_examples=60, deadline=None)
def test_pass_at_k_is_the_mean_over_all_subsets(n, data):
  right = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
  k = data.draw(st.integers(1, n))
  subsets = [any(subset) for subset in itertools.combinations(right, k)]
  assert pass_at_k(n, np.array([sum(right)]), k)[0] == pytest.approx(np.mean(subsets), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(n, c, k):
  with pytest.raises(ValueError, match="must be from"):
    pass_at_k(n, np.array([c]), k)


@pytest.mark.parametrize(
  ("answers", "right", "value"),
  [
    ("aab", (True, True, False), 1.0),
    ("abb", (True, False, False), 0.0),
    ("ab", (True, False), 0.5),
    ("abc", (True, False, False), 1 / 3),
    (["a", None, None], (True, False, False), 1.0),
    ([None, None], (False, False), 0.0),
    (["a", "b", None, None], (True, False, False, False), 0.5),
  ],
)
def test_majority_by_hand(answers, right, value):
  assert majority(list(answers), right) == pytest.approx(value)


def test_the_order_of_votes_does_not_matter():
  answers, right = list("aabbc"), [True, True, False, False, False]
  for order in itertools.permutations(range(5)):
    shuffled = majority([answers[i] for i in order], [right[i] for i in order])
    assert shuffled == pytest.approx(0.5)


def test_a_vote_of_k_is_over_groups_that_share_no_answer():
  answers, right = list("aabbb"), [True, True, False, False, False]
  assert majority_at_k(answers, right, 1) == pytest.approx(0.4)
  assert majority_at_k(answers, right, 2) == pytest.approx(0.5)  # aa, bb; the fifth is left out
  assert majority_at_k(answers, right, 5) == 0.0
  with pytest.raises(ValueError, match="must be from 1 to 5"):
    majority_at_k(answers, right, 6)


def test_wilson_by_hand():
  """z^2 = 3.8416; 0.5 of 100: 0.5 -+ 1.96 / 1.038416 * sqrt(0.25 / 100 + 0.0098^2)."""
  assert wilson(0.5, 100) == pytest.approx((0.40383, 0.59617), abs=1e-5)
  low, high = wilson(1.0, 10)
  assert low == pytest.approx(10 / 13.8416, abs=1e-6)
  assert high == 1.0
  assert wilson(0.0, 5)[0] == 0.0
  for share, count in ((0.5, 0), (1.2, 3), (float("nan"), 3)):
    with pytest.raises(ValueError, match="a share in"):
      wilson(share, count)


def test_the_bootstrap_is_that_of_problems_and_not_of_answers():
  """All answers to a problem are alike: 16 of them know no more than one."""
  values = np.array([0.0, 1.0] * 50)
  (low, high), (low_half, high_half) = bootstrap(np.stack([values, values / 2]), seed=0)
  deviation = 0.5 / math.sqrt(100)
  assert low == pytest.approx(0.5 - 1.96 * deviation, abs=0.015)
  assert high == pytest.approx(0.5 + 1.96 * deviation, abs=0.015)
  assert (low_half, high_half) == pytest.approx((low / 2, high / 2))


def test_the_bootstrap_follows_from_its_seed():
  values = np.random.default_rng(0).random((2, 30))
  np.testing.assert_array_equal(bootstrap(values, 3), bootstrap(values, 3))
  assert (bootstrap(values, 3) != bootstrap(values, 4)).any()


def test_the_bootstrap_covers_the_truth():
  """Of 200 samples about 95 % of the intervals hold the mean that was drawn from."""
  generator = np.random.default_rng(0)
  rates = generator.beta(2, 2, size=(200, 60))
  found = bootstrap(generator.binomial(8, rates) / 8, seed=1, replicates=2000)
  assert 0.90 <= np.mean((found[:, 0] <= 0.5) & (found[:, 1] >= 0.5)) <= 0.99
