"""Levels move by what was answered right, and a resumed run finds them where they were."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import Scores
from grpo_jax.run.answers import Answers
from grpo_jax.run.levels import Levels, task_figures, task_records
from grpo_jax.tasks import Example, Ladder

_LADDER = Ladder(levels=3, start=0, window=4, up=0.75, down=0.25)


def _answers(groups, names=None, level=0) -> Answers:
  """Scores of "number" of each prompt's group; totals are another reward's."""
  part = np.array(groups, np.float32)
  names = names or [""] * len(part)
  examples = [
    Example([{"role": "user", "content": f"q{n}"}], {}, task=name, level=level)
    for n, name in enumerate(names)
  ]
  scores = Scores(part / 2, {"number": part}, part[None], np.ones(1))
  return Answers(examples, None, [], scores, np.zeros(2))  # type: ignore[arg-type]


class _Watched(Levels):
  @property
  def level(self):
    return dict(self._levels)


def _after(*steps, ladder=_LADDER) -> dict[str, int]:
  levels = _Watched({"": ladder})
  for groups in steps:
    levels.note(_answers(groups), "number")
  return levels.level


RIGHT, HALF, WRONG = [1, 1], [1, 0], [0, 0]


@pytest.mark.parametrize(
  ("steps", "level"),
  [
    ([], 0),
    ([[RIGHT] * 3], 0),  # three prompts are less than the window
    ([[RIGHT] * 4], 1),
    ([[RIGHT] * 2, [RIGHT] * 2], 1),
    ([[RIGHT, RIGHT, HALF, HALF]], 1),  # exactly up
    ([[RIGHT, RIGHT, HALF, WRONG]], 0),
    ([[WRONG] * 8, [RIGHT] * 4], 1),  # the last of the window count
    ([[RIGHT] * 4, [RIGHT] * 3], 1),  # those of the level before do not
    ([[RIGHT] * 4] * 2, 2),
    ([[RIGHT] * 4] * 5, 2),  # there is no fourth
    ([[RIGHT] * 40], 1),  # one at a time
    ([[WRONG] * 4], 0),  # none below the first
    ([[RIGHT] * 4, [WRONG] * 4], 0),
    ([[RIGHT] * 4, [HALF, HALF, WRONG, WRONG]], 1),  # exactly down is not below
    ([[[0.99, 0.99]] * 4], 0),  # almost right is not right
    ([[[np.nan, 1]] * 4], 1),  # unscored answers are left out
    ([[[np.nan, np.nan]] * 4], 0),
  ],
)
def test_the_level(steps, level):
  assert _after(*steps) == {"": level}


def test_down_zero_is_off():
  never = dataclasses.replace(_LADDER, start=1, down=0.0)
  assert _after([WRONG] * 8, ladder=never) == {"": 1}


def test_each_task_of_a_mixture_has_its_own():
  levels = _Watched({"a": _LADDER, "b": _LADDER})
  names = ["a", "b", "c"] * 4
  levels.note(_answers([RIGHT, WRONG, RIGHT] * 4, names), "number")
  assert levels.level == {"a": 1, "b": 0}


_GROUPS = st.lists(st.sampled_from([RIGHT, HALF, WRONG, [np.nan, 1.0]]), min_size=3, max_size=3)


@given(st.lists(_GROUPS, max_size=12))
def test_from_samples_comes_what_was(steps):
  """As a run that was killed reads samples.jsonl: also the next moves are the same."""
  ladders = {"a": dataclasses.replace(_LADDER, window=3), "b": _LADDER}
  whole, records = _Watched(ladders), []
  for step, groups in enumerate(steps, start=1):
    answers = _answers(groups, ["a", "b", "a"], level=1)
    records += [{"step": step} | r for r in task_records(answers, "number")]
    whole.note(answers, "number")
  resumed = _Watched(ladders, json.loads(json.dumps(records)))
  assert resumed.level == whole.level
  assert resumed._seen == whole._seen


def test_records_say_what_a_resumed_run_needs_and_nothing_where_there_is_none():
  answers = _answers([[1, np.nan]], ["sums"], level=2)
  assert task_records(answers, "number") == [{"task": "sums", "level": 2, "right": [1, None]}]
  assert task_records(_answers([[1, 0]], level=None), "number") == [{}]


def test_figures_of_a_mixture():
  answers = _answers([[1, 0], [1, 1], [np.nan, 0.5], [0, 0]], ["a", "b", "b", "b"], level=1)
  figures = task_figures(answers, "number")
  assert figures == {
    "task/right": pytest.approx(3 / 7),
    "reward/a/mean": pytest.approx(0.25),
    "reward/b/mean": pytest.approx((0.5 + 0.5 + 0.25) / 5),
    "task/a/share": 0.25,
    "task/b/share": 0.75,
    "task/a/right": 0.5,
    "task/b/right": pytest.approx(2 / 5),
    "task/a/level": 1.0,
    "task/b/level": 1.0,
  }


def test_figures_of_a_task_by_itself():
  assert task_figures(_answers([[1, 0]], level=2), "number") == {"task/right": 0.5, "task/level": 2}
  assert task_figures(_answers([[1, 0]], level=None), "exact") == {}
