"""reasoning-gym's scorers: the answer alone is scored, and what it says is not run."""

import glob
import os

import numpy as np
import pytest

from grpo_jax import tasks
from grpo_jax.config import ConfigError, Gym, Scoring
from grpo_jax.isolated.pool import Workers
from grpo_jax.rewards import score
from grpo_jax.rewards.isolated import ISOLATED

pytest.importorskip("reasoning_gym")
pytest.importorskip("pebble")


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
  log = str(tmp_path_factory.mktemp("gym") / "log")
  made = Workers(Scoring(workers=1, timeout_s=20), log, [ISOLATED["gym"].path])
  yield made
  made.close()


def _scores(workers, example, texts, name="gym", **limits):
  return score(
    {name: 1.0}, [example.question], [texts], [example.fields], workers=workers, **limits
  ).total[0]


@pytest.fixture(scope="module")
def sums():
  return tasks.build(Gym(name="chain_sum")).sample(0, 0, 1)[0]


def test_the_last_answer_element_is_scored_and_else_the_whole(workers, sums):
  right = sums.fields["answer"]
  texts = [
    right, f" {right}\n", f"<answer>{right}</answer>", f"It is 1. <answer> {right} </answer>",
    f"<answer>0.5</answer> <answer>{right}</answer>", f"<answer>{right}</answer><answer>x</answer>",
    "", "<answer></answer>", "x" * 50_000,
  ]  # fmt: skip
  found = _scores(workers, sums, texts)
  np.testing.assert_array_equal(found[:5], 1)
  np.testing.assert_array_equal(found[5:], 0)


def test_text_about_an_answer_is_partly_right_at_best_and_not_exact(workers, sums):
  texts = [f"The answer is {sums.fields['answer']}", sums.fields["answer"]]
  assert 0 < _scores(workers, sums, texts)[0] < 1
  np.testing.assert_array_equal(_scores(workers, sums, texts, "gym_exact"), [0, 1])


def test_its_own_answers_are_right_of_tasks_that_compute(workers):
  names = ("polynomial_multiplication", "simple_equations", "word_ladder", "countdown", "sudoku")
  for name in names:
    example = tasks.build(Gym(name=name)).sample(0, 0, 1)[0]
    assert _scores(workers, example, [example.fields["answer"]])[0] == 1, name


def test_what_an_answer_says_is_not_run(workers, tmp_path):
  """reasoning-gym's countdown evaluates the answer, with all of Python's own functions."""
  example = tasks.build(Gym(name="countdown")).sample(0, 0, 1)[0]
  canary = str(tmp_path / "canary")
  texts = [
    f"open('{canary}', 'w')", f"exec(\"import os; os.mkdir('{canary}')\")",
    f"__import__('os').mkdir('{canary}')", f"eval(\"open('{canary}', 'a')\")",
    f"exec('import subprocess; subprocess.run([\"touch\", \"{canary}\"])')",
    "exec('import socket; socket.socket()')", "exit(0)", "open('/etc/passwd').read()",
  ]  # fmt: skip
  found = _scores(workers, example, texts, max_failed=1.0)
  assert (found < 0.1).all()
  assert not glob.glob(canary)
  assert _scores(workers, example, [example.fields["answer"]])[0] == 1


def test_the_guard_is_what_stops_them(tmp_path):
  from grpo_jax.isolated.guard import ForbiddenError, guarded

  path = tmp_path / "a"
  with guarded(), pytest.raises(ForbiddenError, match="open was tried"):
    path.write_text("x")
  with guarded(), pytest.raises(ForbiddenError, match=r"os\.listdir was tried"):
    os.listdir("/etc")
  path.write_text("x")
  assert path.read_text() == "x"


def test_libraries_may_load_their_parts_within_it():
  import sys

  from grpo_jax.isolated.guard import guarded

  sys.modules.pop("colorsys", None)
  with guarded():
    import colorsys
  assert colorsys.rgb_to_hsv(0, 0, 0) == (0, 0, 0)


def test_without_workers_it_is_refused(sums):
  with pytest.raises(ConfigError, match=r"config.scoring.workers must be 1 or more"):
    _scores(None, sums, ["1"])


def test_a_column_of_a_data_file_is_not_unpickled(workers, tmp_path):
  canary = tmp_path / "canary"
  entry = b"cos\nmkdir\n(S'" + str(canary).encode() + b"'\ntR."
  column = {"name": "chain_sum", "fields": {}, "entry": entry}
  with pytest.raises(RuntimeError, match=r"are for tasks of config.Gym alone"):
    score({"gym": 1.0}, ["?"], [["1"]], [{"answer": "1", "gym": column}], workers=workers)
  assert not canary.exists()


def test_of_another_task_it_says_so(workers):
  with pytest.raises(RuntimeError, match=r"are for tasks of config.Gym alone"):
    score({"gym": 1.0}, ["?"], [["1"]], [{"answer": "1"}], workers=workers)
