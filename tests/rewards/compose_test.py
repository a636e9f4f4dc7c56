import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.config import GRPO, ConfigError, Term, as_terms, check
from grpo_jax.rewards import compose, score
from grpo_jax.rewards.compose import term_weight

_A = np.array([[1.0, 0.0, 2.0]], np.float32)
_B = np.array([[3.0, 5.0, np.nan]], np.float32)


def composed(terms, step=0):
  found = compose(jnp.stack([_A, _B]), as_terms(terms), step)
  return [np.asarray(value) for value in found]


def test_numbers_are_weights_of_a_plain_sum():
  total, counted, weights = composed({"a": 2.0, "b": -1.0})
  np.testing.assert_array_equal(total, [[-1.0, -5.0, np.nan]])
  np.testing.assert_array_equal(counted, np.stack([_A, _B]))
  np.testing.assert_array_equal(weights, [2, -1])


@pytest.mark.parametrize(
  ("schedule", "expected"),
  [
    ("constant", [1, 1, 1, 1]),
    ("linear", [1, 1.5, 3, 3]),
    ("cosine", [1, 1 + 2 * (1 - np.cos(np.pi / 4)) / 2, 3, 3]),
    ("step", [1, 3, 3, 3]),
  ],
)
@pytest.mark.parametrize("jit", [False, True])
def test_schedules_by_hand(schedule, expected, jit):
  fields = {} if schedule == "constant" else {"end_weight": 3.0, "start": 10}
  if schedule in ("linear", "cosine"):
    fields["end"] = 18
  term = Term(weight=1.0, schedule=schedule, **fields)
  check(term)
  weight = functools.partial(term_weight, term)
  weight = jax.jit(weight) if jit else weight
  found = [float(weight(step)) for step in (9, 12, 18, 100)]
  np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_gate_counts_a_reward_only_where_another_is_met():
  total, counted, _ = composed({"a": 1.0, "b": Term(gate="a", gate_at=1.0, unscored="zero")})
  np.testing.assert_array_equal(counted[1], [[3, 0, 0]])
  np.testing.assert_array_equal(total, [[4, 0, 2]])


def test_a_gate_multiplies():
  _, counted, _ = composed({"a": Term(gate="b", gate_how="multiply"), "b": 1.0})
  np.testing.assert_array_equal(counted[0], [[3, 0, np.nan]])


def test_an_unscored_gate_leaves_the_answer_unscored():
  total, counted, _ = composed({"a": Term(gate="b"), "b": 1.0})
  assert np.isnan(counted[0, 0, 2])
  assert np.isnan(total[0, 2])


def test_unscored_as_zero_says_nothing_and_as_drop_drops():
  zero, *_ = composed({"a": 1.0, "b": Term(unscored="zero")})
  drop, *_ = composed({"a": 1.0, "b": Term()})
  np.testing.assert_array_equal(zero, [[4, 5, 2]])
  np.testing.assert_array_equal(drop, [[4, 5, np.nan]])


def test_a_weight_of_zero_logs_a_reward_and_does_not_count_it():
  scores = score({"exact": 1.0, "number": 0.0}, ["?"], [["12", "is 12"]], [{"answer": "12"}])
  np.testing.assert_array_equal(scores.total, [[1, 0]])
  np.testing.assert_array_equal(scores.parts["number"], [[1, 1]])


def test_a_reward_that_is_only_logged_drops_no_answer_that_it_cannot_score():
  total, counted, _ = composed({"a": 1.0, "b": 0.0})
  assert not np.isnan(total).any()
  assert not np.isnan(counted).any()
  late, *_ = composed({"a": 1.0, "b": Term(weight=0.0, schedule="step", end_weight=1.0, start=5)})
  assert np.isnan(late).any()  # it will count: what it cannot score is unscored all along


def test_an_unscored_gate_of_weight_zero_leaves_the_answer_unscored_all_the_same():
  total, *_ = composed({"a": Term(gate="b"), "b": 0.0})
  assert np.isnan(total[0, 2])


def test_the_step_reaches_the_weights():
  late = Term(weight=0.0, schedule="step", end_weight=2.0, start=5)
  given = ({"number": late}, ["?"], [["12"]], [{"answer": "12"}])
  assert [float(score(*given, step=step).total[0, 0]) for step in (4, 5)] == [0, 2]


@pytest.mark.parametrize(
  ("rewards", "said"),
  [
    ({"a": Term(gate="c")}, "must be another reward"),
    ({"a": Term(gate="a")}, "must be another reward"),
    ({"a": Term(gate="b"), "b": Term(gate="a")}, "do not chain"),
    ({"a": Term(schedule="linear", start=5)}, "must be after start"),
    ({"a": Term(end=5)}, "is of schedule"),
    ({"a": Term(end_weight=5.0)}, "never changes"),
    ({"a": Term(gate_at=0.5)}, "need a gate"),
    ({"a": Term(gate="b", gate_how="multiply", gate_at=0.5), "b": 1.0}, "is of gate_how='met'"),
  ],
)
def test_what_would_not_be_read_is_refused(rewards, said):
  with pytest.raises(ConfigError, match=said):
    check(GRPO(rewards=rewards))
