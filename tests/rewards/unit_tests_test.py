"""The share of a task's tests that a program in an answer passes."""

import json

import pytest

from grpo_jax import config
from grpo_jax.rewards import score, unit_tests
from grpo_jax.rewards.unit_tests import program, same
from grpo_jax.run.checks import check_rewards
from grpo_jax.sandbox import judge
from tests.run import stages_test

_TESTS = [
  {"call": "add", "args": [1, 2], "expected": 3},
  {"call": "add", "args": [0.1, 0.2], "expected": 0.3},
  {"call": "add", "args": ["a", "b"], "expected": "ab"},
  {"call": "add", "args": [[], [1]], "expected": [1]},
]


@pytest.fixture
def contained():
  if any(judge.layers().values()):
    pytest.skip("programs cannot be contained here")


@pytest.mark.parametrize(
  ("body", "worth"),
  [
    ("return a + b", 1.0),
    ("return float(a) + float(b)", 0.5),  # 3.0 is 3
    ("return 3", 0.25),
    ("raise SystemExit(0)", 0.0),
    ("print('passed'); return None", 0.0),
    ("import os; os._exit(0)", 0.0),
    ("while True: pass", 0.0),
  ],
)
def test_what_returns_the_expected_is_a_pass(contained, monkeypatch, body, worth):
  monkeypatch.setattr(judge, "Limits", lambda: judge_limits(cpu_s=1, wall_s=2.0))
  answer = f"So:\n```python\ndef add(a, b):\n  {body}\n```\nDone."
  assert unit_tests.unit_tests("?", answer, {"tests": _TESTS}) == worth


judge_limits = judge.Limits


def test_tests_may_be_json_text_and_no_program_passes_none(contained):
  assert unit_tests.unit_tests("?", "I cannot.", {"tests": json.dumps(_TESTS)}) == 0.0


def test_it_is_a_reward_by_its_name(contained):
  answers = [["def add(a, b): return a + b", "def add(a, b): return 3"]]
  found = score({"unit_tests": 1.0}, ["?"], answers, [{"tests": _TESTS}])
  assert found.total.tolist() == [[1.0, 0.25]]


def test_the_last_block_is_the_program():
  assert program("no fence") == "no fence"
  assert program("```python\none\n```\n```python\ntwo\n```\n").strip() == "two"
  assert program("```python\ncut off").strip() == "cut off"


@pytest.mark.parametrize(
  ("value", "expected", "equal"),
  [
    (1, 1, True), (True, 1, False), (1.0, 1, True), (0.1 + 0.2, 0.3, True), (10**400, 1.0, False),
    (float("nan"), float("nan"), False), ([1, [2]], [1, [2]], True), ([1], [1, 2], False),
    ({"a": 1}, {"a": 1}, True), ({"a": 1}, {"b": 1}, False), ("1", 1, False), (None, None, True),
  ],
)  # fmt: skip
def test_json_values_are_equal_as_json(value, expected, equal):
  assert same(value, expected) is equal


@pytest.mark.parametrize(
  ("tests", "said"),
  [
    (None, r"fields\['tests'\]: expected a list of at least one test, got None"),
    ([], "expected a list of at least one test"),
    ("[", r"fields\['tests'\] is no JSON"),
    ([_TESTS[0], {"call": "f"}], r"fields\['tests'\]\[1\]: expected an object of call, args"),
    ([{**_TESTS[0], "call": "1"}], r"\[0\]\['call'\]: expected a function's name"),
    ([{**_TESTS[0], "args": 1}], r"\[0\]\['args'\]: expected a list"),
  ],
)
def test_tests_that_cannot_be_used_are_a_line(tests, said):
  with pytest.raises(ValueError, match=said):
    unit_tests.unit_tests("?", "x", {"tests": tests})


def test_where_programs_cannot_be_contained_a_run_does_not_begin(monkeypatch):
  monkeypatch.setattr(judge, "layers", lambda: dict.fromkeys(("seccomp", "landlock"), "not here"))
  monkeypatch.setattr(judge, "_FILE_LAYERS", ("landlock",))
  whole = stages_test.experiment({"rl": stages_test._grpo(rewards={"unit_tests": 1.0})})
  with pytest.raises(judge.SandboxError, match="none is run"):
    check_rewards(whole)
  check_rewards(stages_test.experiment({"rl": config.GRPO()}))
