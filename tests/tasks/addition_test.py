"""Sums: what is held out stays held out, and a step's prompts are a function of (seed, step)."""

import subprocess
import sys

import pytest

from grpo_jax import tasks
from grpo_jax.config import Addition, ConfigError


def _pair(example):
  return example.fields["a"], example.fields["b"]


def test_held_out_pairs_are_never_trained_on_in_either_order():
  task = tasks.build(Addition(low=0, high=12))
  held = {_pair(example) for example in task.held_out(20)}
  held |= {(b, a) for a, b in held}
  trained = {
    _pair(e) for seed in range(3) for step in range(200) for e in task.sample(seed, step, 16)
  }
  assert not held & trained
  assert len(trained) > 100


def test_a_step_is_a_function_of_its_arguments():
  task = tasks.build(Addition())
  first = task.sample(3, 5, 8)
  assert first == tasks.build(Addition()).sample(3, 5, 8)
  assert first != task.sample(3, 6, 8)
  assert first != task.sample(4, 5, 8)
  code = (
    "from grpo_jax import tasks, config; task = tasks.build(config.Addition());"
    " print([example.fields['a'] for example in task.sample(3, 5, 8)])"
  )
  output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  assert output.stdout.strip() == str([e.fields["a"] for e in first])


def test_no_prompt_twice_in_a_step():
  """Pitfall 24."""
  task = tasks.build(Addition(low=0, high=9))
  pairs = [_pair(example) for example in task.sample(0, 0, 50)]
  assert len(set(pairs)) == 50


def test_an_example_says_its_sum():
  task = tasks.build(Addition(low=10, high=99, question="{a} + {b} =", system="Add."))
  for example in task.held_out(50):
    a, b = _pair(example)
    assert min(a, b) >= 10
    assert max(a, b) <= 99
    assert example.messages == [
      {"role": "system", "content": "Add."},
      {"role": "user", "content": f"{a} + {b} ="},
    ]
    assert example.solution == example.fields["answer"] == str(a + b)


def test_more_problems_than_are_held_out_are_refused():
  with pytest.raises(ConfigError, match=r"problems=200: at most 13 sums"):
    tasks.build(Addition(low=0, high=9)).held_out(200)
