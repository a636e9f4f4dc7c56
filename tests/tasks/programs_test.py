"""Problems with tests: what the data say is what the sandbox is asked."""

import json

import pytest

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Programs

_TESTS = [{"call": "add", "args": [1, 2], "expected": 3}]
_ROW = {"question": "Add two.", "tests": _TESTS, "code": "def add(a, b):\n  return a + b\n", "n": 1}


@pytest.fixture
def build(tmp_path):
  def make(row, **fields):
    path, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    path.write_text(json.dumps(row) + "\n")
    held.write_text(json.dumps(_ROW | {"question": "Again."}) + "\n")
    return tasks.build(Programs(train=str(path), held_out=str(held), **fields))

  return make


@pytest.mark.parametrize("tests", [_TESTS, json.dumps(_TESTS)])
def test_tests_are_a_field(build, tests):
  task = build(_ROW | {"tests": tests}, solution="code", form="Python: {question}")
  (example,) = task.sample(0, 0, 1)
  assert example.fields["tests"] == _TESTS
  assert example.fields["n"] == 1
  assert example.question == "Python: Add two."
  assert example.solution == _ROW["code"]
  assert task.reward == "unit_tests"


def test_they_are_what_the_reward_takes(build):
  from grpo_jax.rewards import resolve
  from grpo_jax.sandbox import judge

  try:
    judge.check()
  except judge.SandboxError:
    pytest.skip("programs cannot be contained here")
  (example,) = build(_ROW).sample(0, 0, 1)
  right, wrong = (resolve("unit_tests")("", text, example.fields) for text in (_ROW["code"], "x"))
  assert (right, wrong) == (1.0, 0.0)


@pytest.mark.parametrize(
  ("change", "said"),
  [
    ({"tests": []}, "'tests' cannot be used: .*at least one test"),
    ({"tests": None}, "'tests' cannot be used"),
    ({"tests": "["}, "'tests' cannot be used: .*no JSON"),
    ({"tests": [{"call": "a b", "args": [], "expected": 1}]}, "expected a function's name"),
    ({"question": " "}, "'question' is empty"),
    ({"code": 3}, "found 'question', 'tests', 'code', 'n'"),
  ],
)
def test_each_fault_names_its_row(build, change, said):
  with pytest.raises(ConfigError, match=rf"train.jsonl:1: .*{said}"):
    build(_ROW | change, solution="code")
