"""Lines of a run, as they ever were; quiet ones; and what is told of a population."""

import pytest

from grpo_jax.run import console
from grpo_jax.run.view import Plain
from grpo_jax.run.voice import Voice

_RECORD = {"prompt": "q", "completions": ["a", "b"], "rewards": [0, 1], "advantages": [-1, 1]}
_STEP, _EVAL = {"reward/mean": 0.5}, {"eval/accuracy": 0.25, "eval/problems": 8}


def _tell(view):
  view.say("a note")
  view.begin("rl", 0, 20, [])
  for step in (1, 2, 11):
    view.sample(step, _RECORD, rare=False)
    view.step("rl", step, 20, _STEP, 2.0)
  view.evaluated("rl", 11, 20, _EVAL)
  view.warning("warning: rl step 11: ill")
  view.closing("the end")
  view.close()


def test_lines_are_those_of_the_console():
  lines = []
  _tell(Plain(lines.append))
  block = console.sample_block("q", ["a", "b"], [0, 1], [-1, 1])
  assert lines == [
    "a note",
    block,
    console.step_line("rl", 1, 20, _STEP, 38.0),
    console.step_line("rl", 2, 20, _STEP, 36.0),
    block,
    console.step_line("rl", 11, 20, _STEP, 18.0),
    console.evaluation_line("rl", 11, _EVAL),
    "warning: rl step 11: ill",
    "the end",
  ]


def test_samples_of_one_step_in_many_are_always_told():
  lines = []
  Plain(lines.append).sample(8, _RECORD, rare=True)
  assert len(lines) == 1


def test_quiet_is_warnings_and_the_end():
  lines = []
  _tell(Plain(lines.append, quiet=True))
  assert lines == ["warning: rl step 11: ill", "the end"]


class _Rows(Plain):
  """Remembers the rows of members too."""

  def __init__(self):
    self.lines, self.rows, self.begun = [], [], []
    super().__init__(self.lines.append)

  def begin(self, stage, step, steps, lines):
    self.begun.append((stage, step))

  def member(self, number, stage, step, steps, figures):
    self.rows.append((number, stage, step, dict(figures)))


def test_of_a_population_the_first_that_goes_on_is_heard_and_each_has_its_row():
  view, logs = _Rows(), [[], []]
  voice = Voice(view, 2)
  members = [voice.member(number, logs[number].append) for number in range(2)]
  for member in members:
    member.begin("rl", 0, 2, [])
    member.step("rl", 1, 2, _STEP, 1.0)
  voice.over(0, "it failed")
  members[1].evaluated("rl", 1, 2, _EVAL)
  members[1].sample(1, _RECORD, rare=False)
  members[1].warning("warning: ill")
  members[1].closing("its end")
  voice.over(1, "")
  assert logs[0] == [console.step_line("rl", 1, 2, _STEP, 1.0)]
  assert [line.split()[0] for line in logs[1]] == ["rl", "rl", "prompt", "warning:", "its"]
  assert view.lines == [*logs[0], "member 0 has failed: it failed", *logs[1][1:-1]]
  assert view.begun == [("rl", 0), ("rl", 1)]  # the second member's figures are a series anew
  assert view.rows == [
    (0, "rl", 0, {}), (0, "rl", 1, _STEP), (1, "rl", 0, {}), (1, "rl", 1, _STEP),
    (1, "rl", 1, _EVAL),
  ]  # fmt: skip


def test_a_member_that_is_told_to_end_is_not_heard_again():
  def put(line):
    raise RuntimeError("told to end")

  view = _Rows()
  with pytest.raises(RuntimeError, match="told to end"):
    Voice(view, 1).member(0, put).step("rl", 1, 2, _STEP, 1.0)
  assert not view.lines
