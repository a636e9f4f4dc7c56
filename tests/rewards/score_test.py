"""Weighted sums of rewards, and rewards that fail."""

import math

import numpy as np
import pytest

from grpo_jax.config import ConfigError
from grpo_jax.rewards import resolve, score


def _own(tmp_path, body):
  path = tmp_path / "own.py"
  path.write_text(
    f"import numpy as np\nimport jax.numpy as jnp\ndef own(prompt, completion, fields):\n  {body}\n"
  )
  return f"{path}:own"


def _scores(weights, completions=(("1", "2"), ("3", "x"))):
  return score(weights, ["a", "b"], completions, [{"answer": "1"}, {"answer": "3"}])


def test_the_total_is_the_weighted_sum(tmp_path):
  own = _own(tmp_path, "return len(completion)")
  scores = _scores({"number": 2.0, own: 0.5})
  np.testing.assert_array_equal(scores.parts["number"], [[1, 0], [1, 0]])
  np.testing.assert_array_equal(scores.total, [[2.5, 0.5], [2.5, 0.5]])
  assert scores.total.dtype == np.float32
  assert not any(scores.failures.values())


def test_a_part_that_cannot_score_leaves_the_answer_unscored(tmp_path):
  own = _own(tmp_path, "return float('nan') if completion == 'x' else 1")
  total = _scores({"number": 1.0, own: 1.0}).total
  np.testing.assert_array_equal(np.isnan(total), [[False, False], [False, True]])


@pytest.mark.fault(12)
def test_a_reward_that_raises_costs_one_answer_and_is_logged_once(tmp_path, caplog):
  own = _own(tmp_path, "return 1 / (completion not in 'x2')")
  scores = _scores({own: 1.0})
  assert scores.failures == {"error": 2, "invalid": 0, "timeout": 0, "crash": 0}
  np.testing.assert_array_equal(np.isnan(scores.total), [[False, True], [False, True]])
  assert len(caplog.records) == 1


@pytest.mark.fault(13)
def test_a_reward_that_always_raises_stops_the_run(tmp_path):
  with pytest.raises(RuntimeError, match=r"failed on all 4 answers \(4 error\): ZeroDivisionError"):
    _scores({_own(tmp_path, "return 1 / 0"): 1.0})


@pytest.mark.fault(15)
@pytest.mark.parametrize(
  "value",
  [
    "None", "'1'", "float('inf')", "np.ones((1,))", "[1.0]", "np.ones((4, 1))", "1e39", "10**400",
    "10**5000", "jnp.ones(2)", "jnp.complex64(1)", "np.complex64(1)", "jnp.full((2,), jnp.nan)",
  ],
)  # fmt: skip
def test_what_is_no_number_is_refused_with_the_answer(tmp_path, value):
  """Pitfall 26."""
  said = r"failed on all 4 answers \(4 invalid\): returned .* expected a finite number"
  with pytest.raises(RuntimeError, match=said) as error:
    _scores({_own(tmp_path, f"return {value}"): 1.0})
  assert "\n" not in str(error.value)


@pytest.mark.fault(15)
def test_what_is_no_number_costs_one_answer(tmp_path, caplog):
  scores = _scores({_own(tmp_path, "return None if completion == 'x' else 1"): 1.0})
  assert scores.failures["invalid"] == 1
  np.testing.assert_array_equal(np.isnan(scores.total), [[False, False], [False, True]])
  assert "returned None (NoneType): expected a finite number" in caplog.text


@pytest.mark.fault(12)
def test_more_failures_than_may_be_stop_the_run(tmp_path):
  """One of four answers may fail, and two may not."""
  own = _own(tmp_path, "return 1 / (completion not in 'x2')")
  with pytest.raises(
    RuntimeError, match=r"2 of 4 answers \(2 error\), more than .*max_failed=0.25"
  ):
    score({own: 1.0}, ["a", "b"], [("1", "2"), ("3", "x")], [{}, {}], max_failed=0.25)
  few = score({own: 1.0}, ["a", "b"], [("1", "2"), ("3", "4")], [{}, {}], max_failed=0.25)
  assert few.failures["error"] == 1


@pytest.mark.fault(15)
@pytest.mark.parametrize(
  "value", ["True", "1", "np.float32(1)", "np.int64(1)", "np.True_", "jnp.float32(1)"]
)
def test_numbers_of_any_type_are_numbers(tmp_path, value):
  assert _scores({_own(tmp_path, f"return {value}"): 1.0}).total[0, 0] == 1


@pytest.mark.fault(13)
def test_a_reward_cannot_end_the_run_as_if_all_were_well(tmp_path):
  with pytest.raises(RuntimeError, match="SystemExit: 0"):
    _scores({_own(tmp_path, "raise SystemExit(0)"): 1.0})


@pytest.mark.fault(36)
def test_a_reward_cannot_change_the_task(tmp_path):
  fields = [{"answer": "1"}]
  score({_own(tmp_path, "return len(fields.pop('answer'))"): 1.0}, ["a"], [["1", "2"]], fields)
  assert fields == [{"answer": "1"}]


@pytest.mark.fault(15)
@pytest.mark.parametrize(
  ("prompts", "completions"),
  [(["a"], [["1"], ["2"]]), (["a", "b"], [["1"], ["2", "3"]]), (["a", "b"], [[], []]), ([], [])],
)
def test_shapes_that_do_not_fit_are_refused(prompts, completions):
  """Pitfall 26: a short group may not pass as unscored."""
  with pytest.raises(ValueError, match="groups of one size"):
    score({"number": 1.0}, prompts, completions, [{"answer": "1"}] * len(completions))
  with pytest.raises(ValueError, match="at least one reward"):
    score({}, ["a"], [["1"]], [{"answer": "1"}])


def test_an_error_of_several_lines_is_told_in_one(tmp_path):
  with pytest.raises(RuntimeError) as error:
    _scores({_own(tmp_path, "raise ValueError('one\\ntwo')"): 1.0})
  assert str(error.value).endswith("ValueError: one two")


def test_a_file_is_a_module_loaded_once(tmp_path):
  """Dataclasses with postponed annotations look their module up."""
  path = tmp_path / "own.py"
  path.write_text(
    "from __future__ import annotations\n"
    "import dataclasses\n"
    f"with open({str(tmp_path / 'loads')!r}, 'a') as file:\n  file.write('x')\n"
    "@dataclasses.dataclass\nclass Worth:\n  value: float = 1.0\n"
    "def one(prompt, completion, fields):\n  return Worth().value\n"
    "def two(prompt, completion, fields):\n  return 2 * Worth().value\n"
  )
  scores = _scores({f"{path}:one": 1.0, f"{path}:two": 1.0})
  np.testing.assert_array_equal(scores.total, np.full((2, 2), 3.0))
  assert (tmp_path / "loads").read_text() == "x"


def test_names_that_lead_nowhere(tmp_path):
  broken, leaving, text = tmp_path / "broken.py", tmp_path / "leaving.py", tmp_path / "own.txt"
  broken.write_text("import nowhere_at_all")
  leaving.write_text("raise SystemExit(0)")
  text.write_text("")
  for name, said in [
    ("numbr", "did you mean 'number'"),
    ("nowhere.py:f", "there is no file nowhere.py"),
    (f"{text}:f", "ending in .py"),
    (f"{broken}:f", "fails on import: ModuleNotFoundError"),
    (f"{leaving}:f", "fails on import: SystemExit"),
    (_own(tmp_path, "return 1").replace(":own", ":other"), "has no function 'other'"),
  ]:
    with pytest.raises(ConfigError, match=said) as error:
      resolve(name)
    assert "\n" not in str(error.value)
  assert math.isclose(resolve("number")("", "1", {"answer": "1"}), 1)
