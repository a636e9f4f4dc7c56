"""Weighted sums of rewards, and rewards that fail."""

import math

import numpy as np
import pytest

from grpo_jax.config import ConfigError
from grpo_jax.rewards import resolve, score


def _own(tmp_path, body):
  path = tmp_path / "own.py"
  path.write_text(f"import numpy as np\ndef own(prompt, completion, fields):\n  {body}\n")
  return f"{path}:own"


def _scores(weights, completions=(("1", "2"), ("3", "x"))):
  return score(weights, ["a", "b"], completions, [{"answer": "1"}, {"answer": "3"}])


def test_the_total_is_the_weighted_sum(tmp_path):
  own = _own(tmp_path, "return len(completion)")
  scores = _scores({"number": 2.0, own: 0.5})
  np.testing.assert_array_equal(scores.parts["number"], [[1, 0], [1, 0]])
  np.testing.assert_array_equal(scores.total, [[2.5, 0.5], [2.5, 0.5]])
  assert scores.total.dtype == np.float32
  assert scores.errors == 0


def test_a_part_that_cannot_score_leaves_the_answer_unscored(tmp_path):
  own = _own(tmp_path, "return float('nan') if completion == 'x' else 1")
  total = _scores({"number": 1.0, own: 1.0}).total
  np.testing.assert_array_equal(np.isnan(total), [[False, False], [False, True]])


def test_a_reward_that_raises_costs_one_answer_and_is_logged_once(tmp_path, caplog):
  """Fault 12."""
  own = _own(tmp_path, "return 1 / (completion not in 'x2')")
  scores = _scores({own: 1.0})
  assert scores.errors == 2
  np.testing.assert_array_equal(np.isnan(scores.total), [[False, True], [False, True]])
  assert len(caplog.records) == 1


def test_a_reward_that_always_raises_stops_the_run(tmp_path):
  """Fault 13."""
  with pytest.raises(RuntimeError, match="raised on all 4 answers: ZeroDivisionError"):
    _scores({_own(tmp_path, "return 1 / 0"): 1.0})


@pytest.mark.parametrize(
  "value", ["None", "'1'", "float('inf')", "np.ones((1,))", "[1.0]", "np.ones((4, 1))"]
)
def test_what_is_no_number_is_refused_with_the_answer(tmp_path, value):
  """Fault 15, Pitfall 26."""
  with pytest.raises(TypeError, match="expected a finite number") as error:
    _scores({_own(tmp_path, f"return {value}"): 1.0})
  assert "for '1'" in str(error.value)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["True", "1", "np.float32(1)", "np.int64(1)"])
def test_numbers_of_any_type_are_numbers(tmp_path, value):
  assert _scores({_own(tmp_path, f"return {value}"): 1.0}).total[0, 0] == 1


def test_names_that_lead_nowhere(tmp_path):
  broken = tmp_path / "broken.py"
  broken.write_text("import nowhere_at_all")
  for name, said in [
    ("numbr", "did you mean 'number'"),
    ("nowhere.py:f", "there is no file nowhere.py"),
    (f"{broken}:f", "fails on import"),
    (_own(tmp_path, "return 1").replace(":own", ":other"), "has no function 'other'"),
  ]:
    with pytest.raises(ConfigError, match=said):
      resolve(name)
  assert math.isclose(resolve("number")("", "1", {"answer": "1"}), 1)
