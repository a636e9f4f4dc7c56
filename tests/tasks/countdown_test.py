"""Countdown: every problem can be done, and is what the reward takes."""

import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ConfigError
from grpo_jax.rewards import resolve


@pytest.mark.parametrize("numbers", [2, 4, 6])
def test_its_own_solutions_are_right(numbers):
  task = tasks.build(config.Countdown(numbers=numbers, low=2, high=9, most=50))
  examples = [e for step in range(5) for e in task.sample(0, step, 10)] + task.held_out(20)
  for example in examples:
    assert len(example.fields["numbers"]) == numbers
    assert all(2 <= number <= 9 for number in example.fields["numbers"])
    assert 1 <= example.fields["target"] <= 50
    assert resolve("countdown")("", example.solution, example.fields) == 1
    assert f"to make {example.fields['target']}." in example.question


def test_steps_differ_and_repeat_and_none_is_held_out():
  task = tasks.build(config.Countdown())
  assert task.sample(0, 0, 8) == task.sample(0, 0, 8) != task.sample(0, 1, 8)
  held = {e.question for e in task.held_out(50)}
  asked = {e.question for step in range(20) for e in task.sample(0, step, 20)}
  assert len(held) == 50
  assert not held & asked
  assert all(map(task.is_held, held))


def test_what_cannot_be_asked_is_said():
  hard = config.Countdown(numbers=2, low=5000, high=5001, most=1)
  with pytest.raises(ConfigError, match=r"only . are found whose target is from 1 to most=1"):
    tasks.build(hard).held_out(50)
  with pytest.raises(ConfigError, match=r"only {numbers} and {target} can be filled in"):
    tasks.build(config.Countdown(question="{numbers} {target} {other}"))
