"""Levels: each asks what its fields say, and none what another holds out."""

import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ConfigError

_LEVELS = {"low": (0, 10, 100), "high": (9, 99, 999)}


def _sums(**fields):
  task = config.Addition(question="{a}+{b}=")
  return tasks.build(config.Curriculum(task=task, levels=_LEVELS, **fields))


def _largest(examples) -> int:
  return max(max(e.fields["a"], e.fields["b"]) for e in examples)


def test_a_level_asks_what_its_fields_say():
  task = _sums()
  assert task.ladders[""].levels == 3
  for level, high in enumerate(_LEVELS["high"]):
    examples = task.at({"": level}).sample(0, 0, 50)
    assert {e.level for e in examples} == {level}
    assert high // 10 < _largest(examples) <= high
  assert _sums(start=1).sample(0, 0, 5) == task.at({"": 1}).sample(0, 0, 5)


def test_a_level_is_checked_as_the_task_is():
  bad = config.Curriculum(task=config.Addition(), levels={"low": (10, 99)})
  with pytest.raises(ConfigError, match="at level 1: low=99 must be below high=99"):
    tasks.build(bad)


def test_held_out_questions_are_of_all_levels_and_no_level_asks_them():
  narrow = config.Curriculum(
    task=config.Addition(low=0, question="{a}+{b}="), levels={"high": (9, 20)}
  )
  task = tasks.build(narrow)
  held = task.held_out(26)
  assert [e.level for e in held[:4]] == [0, 1, 0, 1]
  asked = {
    e.question for n in range(2) for step in range(40) for e in task.at({"": n}).sample(0, step, 30)
  }
  assert not asked & {e.question for e in held}
  alone = tasks.build(config.Addition(low=0, high=20, question="{a}+{b}="))
  assert {e.question for step in range(40) for e in alone.sample(0, step, 30)} & {
    e.question for e in held
  }


def test_in_a_mixture_each_has_its_level():
  ladder = config.Curriculum(task=config.Addition(question="{a}+{b}="), levels=_LEVELS)
  mixed = tasks.build(config.Mixture(tasks={"up": ladder, "plain": config.Addition()}))
  assert list(mixed.ladders) == ["up"]
  examples = mixed.at({"up": 2}).sample(0, 0, 30)
  assert {(e.task, e.level) for e in examples} == {("up", 2), ("plain", None)}
