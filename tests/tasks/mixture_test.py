"""Mixtures: who is asked follows from the seed, the step and the row."""

import collections
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from grpo_jax import config, tasks
from grpo_jax.tasks import Example, Task
from grpo_jax.tasks.apart import key_of
from grpo_jax.tasks.mixture import make_mixture

_SMALL = config.Addition(low=0, high=9, question="{a}+{b}=")
_LARGE = config.Addition(low=10, high=99, question="{a} and {b}:", reward="closeness")


def _mixture(**fields) -> Task:
  return tasks.build(config.Mixture(tasks={"small": _SMALL, "large": _LARGE}, **fields))


def test_a_step_is_the_same_in_another_process():
  code = (
    "from grpo_jax import config, tasks\n"
    "c = config.Mixture(tasks={'small': config.Addition(low=0, high=9, question='{a}+{b}='),"
    " 'large': config.Addition(question='{a} and {b}:', reward='closeness')})\n"
    "print([(e.task, e.question) for e in tasks.build(c).sample(3, 5, 9)])"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
  here = [(e.task, e.question) for e in _mixture().sample(3, 5, 9)]
  assert done.stdout.strip() == str(here)


@given(st.integers(0, 5), st.integers(0, 50), st.integers(1, 12), st.integers(1, 12))
def test_the_task_of_a_row_does_not_depend_on_how_many_there_are(seed, step, one, other):
  mixed = _mixture()
  left, right = ([e.task for e in mixed.sample(seed, step, n)] for n in (one, other))
  assert left[: min(one, other)] == right[: min(one, other)]


def test_weights_are_shares():
  mixed = _mixture(weights={"small": 3.0, "large": 1.0})
  count = collections.Counter(e.task for step in range(50) for e in mixed.sample(0, step, 40))
  assert abs(count["small"] / 2000 - 0.75) < 0.04  # four standard deviations
  none = _mixture(weights={"small": 0.0, "large": 1.0})
  assert {e.task for e in none.sample(0, 0, 100)} == {"large"}


def test_each_has_its_own_name_reward_and_fields():
  mixed = _mixture()
  rewards = {(e.task, e.reward) for e in mixed.sample(0, 0, 40)}
  assert rewards == {("small", "number"), ("large", "closeness")}
  assert all(int(e.fields["answer"]) > 19 for e in mixed.sample(0, 0, 40) if e.task == "large")
  assert mixed.names == ("small", "large")


def test_held_out_questions_are_of_all_in_turn():
  mixed = _mixture(weights={"small": 1.0, "large": 0.0})
  assert [e.task for e in mixed.held_out(5)] == ["small", "large", "small", "large", "small"]
  assert mixed.held_out(3) == mixed.held_out(5)[:3]


def test_what_one_holds_out_the_others_do_not_ask():
  """Two tasks of the same sums, of which each would train on what the other holds out."""
  wide = config.Addition(low=0, high=20, question="{a}+{b}=")
  mixed = tasks.build(config.Mixture(tasks={"narrow": _SMALL, "wide": wide}))
  alone = [tasks.build(_SMALL), tasks.build(wide)]
  held = {
    e.question for task, most in zip(alone, (13, 57), strict=True) for e in task.held_out(most)
  }
  asked = {e.question for step in range(40) for e in mixed.sample(0, step, 30)}
  assert {e.question for step in range(40) for e in alone[1].sample(0, step, 30)} & held
  assert not asked & held
  assert all(mixed.is_held(question) for question in held)


def test_a_row_in_place_of_another_is_the_same_each_time():
  def numbered(seed: int, step: int, count: int) -> list[Example]:
    return [Example([{"role": "user", "content": f"{seed}/{row}"}], {}) for row in range(count)]

  odd = Task(numbered, lambda count: [], is_held=lambda question: key_of(question) % 2 == 1)
  whole = config.Mixture(tasks={"a": _SMALL})
  mixed = [make_mixture(whole, lambda _: odd).sample(0, 0, 50) for _ in range(2)]
  assert mixed[0] == mixed[1]
  assert not any(key_of(e.question) % 2 for e in mixed[0])
