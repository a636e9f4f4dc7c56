"""Sums: what is held out stays held out, and a step's prompts are a function of (seed, step)."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax import tasks
from grpo_jax.config import Addition, ConfigError
from grpo_jax.tasks import addition


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


@settings(max_examples=40)
@given(
  low=st.integers(0, 50),
  size=st.integers(3, 40),
  seed=st.integers(0, 2**31 - 1),
  step=st.integers(0),
)
def test_whatever_the_range_and_the_seed_what_is_held_out_is_not_asked(low, size, seed, step):
  """All that can be held out, against as many prompts as there are to train on, and one more."""
  task = tasks.build(Addition(low=low, high=low + size - 1))
  most = size * (size + 1) // 2 // 4
  held = {_pair(example) for example in task.held_out(most)}
  assert len(held | {(b, a) for a, b in held}) == len(held) + sum(a != b for a, b in held)
  left = size * size - len(held | {(b, a) for a, b in held})
  trained = [_pair(example) for example in task.sample(seed, step, left)]
  assert len(set(trained)) == left
  assert not set(trained) & (held | {(b, a) for a, b in held})
  assert len(task.sample(seed, step, left + 1)) == left + 1
  with pytest.raises(ConfigError):
    task.held_out(most + 1)


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


@pytest.mark.parametrize("high", [1039, 2000, 9_999_999])
def test_ranges_too_large_to_list_keep_the_same_promises(high):
  config = Addition(low=1000 if high < 2000 else 5, high=high)
  task = tasks.build(config)
  held = {_pair(example) for example in task.held_out(100)}
  held |= {(b, a) for a, b in held}
  drawn = [task.sample(0, step, 500) for step in range(20)]
  for examples in drawn:
    pairs = {_pair(example) for example in examples}
    assert len(pairs) == 500
    assert not pairs & held
    assert all(config.low <= number <= high for pair in pairs for number in pair)
  assert drawn[3] == tasks.build(config).sample(0, 3, 500)
  assert drawn[3] != drawn[4]


def test_a_held_out_pair_is_not_drawn_even_where_it_is_likely(monkeypatch):
  """Of 171 pairs of a large range, most are held out; the rest are drawn all the same."""
  monkeypatch.setattr(addition, "_MOST_NUMBERS", 1)
  monkeypatch.setattr(addition, "_MOST_DRAWN", 100)
  task = tasks.build(Addition(low=3, high=20))
  held = {_pair(e) for e in task.held_out(90)}
  held |= {(b, a) for a, b in held}
  assert not held & {_pair(e) for step in range(50) for e in task.sample(0, step, 20)}


def test_the_held_out_list_is_prefixes_of_one_list():
  task = tasks.build(Addition())
  assert task.held_out(50) == task.held_out(200)[:50]
  task.held_out(50)[0].fields.clear()
  assert task.held_out(1)[0].fields["answer"]


@pytest.mark.parametrize("question", ["{a} + {b} = {c}", "{a} {b} {", "{a} {b} {0}", "{a.x} {b}"])
def test_a_question_that_cannot_be_filled_in_is_refused(question):
  with pytest.raises(ConfigError, match=r"config.task.question=.*only \{a\} and \{b\}"):
    tasks.build(Addition(question=question))


def test_numbers_too_large_to_add_are_refused():
  with pytest.raises(ConfigError, match=r"config\.task\.high=10"):
    tasks.build(Addition(high=10**19))


def test_more_problems_than_are_held_out_are_refused():
  with pytest.raises(ConfigError, match=r"problems=200: at most 13 sums"):
    tasks.build(Addition(low=0, high=9)).held_out(200)


def test_a_share_of_the_solutions_is_padded_and_the_questions_stay():
  plain, mixed = (tasks.build(Addition(padded=share)) for share in (0.0, 0.4))
  before, after = (task.sample(0, 3, 2000) for task in (plain, mixed))
  assert [e.question for e in before] == [e.question for e in after]
  assert not any(e.solution.startswith("0") for e in before)
  padded = [e for e in after if e.solution == "0" + e.fields["answer"]]
  assert 0.35 < len(padded) / 2000 < 0.45
  assert all(e.solution in (e.fields["answer"], "0" + e.fields["answer"]) for e in after)
