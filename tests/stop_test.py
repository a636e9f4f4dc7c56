import pytest

from grpo_jax.config import Stop
from grpo_jax.stop import is_best, is_over

_NAN = float("nan")


@pytest.mark.parametrize(
  ("values", "over"),
  [([0.9], False), ([0.9, 0.8], True), ([0.9, 0.7], False), ([0.7, 0.8, 0.95], True), ([], False)],
)
def test_a_score_must_be_held(values, over):
  assert is_over(Stop(score=0.8, held=2), values) is over


@pytest.mark.parametrize(
  ("values", "over"),
  [
    ([0.5, 0.4], False),
    ([0.5, 0.4, 0.5], True),  # as good as the best is no new best
    ([0.5, 0.4, 0.6], False),
    ([_NAN, 0.1, 0.0], False),
    ([0.1, _NAN, _NAN], True),
  ],
)
def test_patience_counts_from_the_best(values, over):
  assert is_over(Stop(patience=2), values) is over


def test_lower_is_better_for_a_loss():
  assert is_over(Stop(lower=True, score=0.5, held=1), [0.4])
  assert not is_over(Stop(lower=True, score=0.5, held=1), [0.6])
  assert is_over(Stop(lower=True, patience=1), [1.0, 2.0])


def test_either_rule_ends_a_stage():
  both = Stop(score=0.9, held=1, patience=2)
  assert is_over(both, [0.95])
  assert is_over(both, [0.5, 0.4, 0.3])


def test_without_a_rule_it_never_ends():
  assert not is_over(Stop(), [1.0] * 10)


def test_a_figure_that_is_no_number_is_never_the_best():
  loss = Stop(figure="eval/loss", lower=True, patience=2)
  assert is_best(loss, [1.0])
  assert not is_best(loss, [1.0, _NAN])
  assert not is_best(loss, [_NAN])
  assert is_best(loss, [_NAN, 2.0])


def test_a_score_is_not_held_over_one_that_is_no_number():
  assert not is_over(Stop(score=0.8, held=2), [0.9, _NAN, 0.9])
