"""reasoning-gym: any task by name, the same questions in any process, none of them held out."""

import os
import subprocess
import sys
import time

import pytest

from grpo_jax import config, tasks
from grpo_jax.config import ConfigError, Gym
from grpo_jax.tasks import gym_library

pytest.importorskip("reasoning_gym")

# Some of these go through sets, or draw from the process's own generators.
_NAMES = ("chain_sum", "word_ladder", "pool_matrix", "polynomial_multiplication", "countdown")


def test_a_step_is_the_same_in_another_process_and_none_like_another():
  code = (
    "import sys; from grpo_jax import config, tasks\n"
    "for name in sys.argv[1:]:\n"
    "  for e in tasks.build(config.Gym(name=name)).sample(3, 4, 3):\n"
    "    print(repr((e.question, e.fields['answer'])))"
  )
  done = subprocess.run(
    [sys.executable, "-c", code, *_NAMES],
    capture_output=True,
    text=True,
    check=True,
    env=os.environ | {"PYTHONHASHSEED": "1234"},
  )
  here = []
  for name in _NAMES:
    task = tasks.build(Gym(name=name))
    here += [repr((e.question, e.fields["answer"])) for e in task.sample(3, 4, 3)]
    assert task.sample(3, 5, 3) != task.sample(3, 4, 3) != task.sample(4, 4, 3)
  assert done.stdout.splitlines() == here


def test_held_out_questions_are_not_trained_on():
  """Of a task with few questions, most of which come again and again."""
  task = tasks.build(
    Gym(name="chain_sum", fields={"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1})
  )
  held = {e.question for e in task.held_out(30)}
  asked = {e.question for step in range(30) for e in task.sample(0, step, 20)}
  assert len(held) == 30
  assert len(asked) > 90
  assert not held & asked
  assert all(map(task.is_held, held))
  assert task.held_out(10) == task.held_out(30)[:10]
  with pytest.raises(ConfigError, match=r"problems=500: only \d+ different held-out questions"):
    task.held_out(500)


def test_fields_are_those_of_the_task():
  fields = {"min_terms": 3, "max_terms": 3}
  examples = tasks.build(Gym(fields=fields, system="Hm.")).sample(0, 0, 5)
  for example in examples:
    assert example.question.count(" + ") + example.question.count(" - ") == 2
    assert example.messages[0] == {"role": "system", "content": "Hm."}
    assert example.solution == example.fields["answer"]


@pytest.mark.parametrize(
  ("task", "said"),
  [
    (Gym(name="chain_sun"), "no task 'chain_sun': did you mean 'chain_sum'?"),
    (Gym(name="zzzz"), "no task 'zzzz': known are ab, "),
    (Gym(fields={"min_term": 2}), "has no field 'min_term': did you mean 'min_terms'?"),
    (Gym(fields={"min_terms": 5, "max_terms": 2}), "refuses fields="),
    (Gym(fields={"min_terms": "two"}), "refuses fields="),
    (config.Curriculum(task=Gym(name="composite", fields={"datasets": []})), "refuses fields="),
  ],
)
def test_what_is_not_there_is_one_line(task, said):
  with pytest.raises(ConfigError) as error:
    tasks.build(task)
  assert said in str(error.value)
  assert "\n" not in str(error.value)


def test_without_the_library_the_extra_is_named(monkeypatch):
  monkeypatch.setattr(gym_library.importlib.util, "find_spec", lambda name: None)
  with pytest.raises(ConfigError, match=r"pip install 'grpo_jax\[gym\]'"):
    tasks.build(Gym())


def test_its_own_levels_are_a_curriculum():
  task = tasks.build(config.Curriculum(task=Gym(name="chain_sum")))
  count = task.ladders[""].levels
  lengths = []
  for level in (0, count - 1):
    examples = task.at({"": level}).sample(0, 0, 8)
    assert {e.level for e in examples} == {level}
    lengths.append(sum(len(e.question) for e in examples))
  assert count > 2
  assert lengths[1] > lengths[0]
  held = {e.question for e in task.held_out(2 * count)}
  assert {e.level for e in task.held_out(count)} == set(range(count))
  assert not held & {e.question for e in task.at({"": 0}).sample(0, 0, 100)}


def test_levels_by_fields():
  levels = {"min_terms": (2, 4), "max_terms": (2, 4)}
  task = tasks.build(config.Curriculum(task=Gym(fields={"max_digits": 2}), levels=levels))
  for level, terms in enumerate((2, 4)):
    for example in task.at({"": level}).sample(0, 0, 4):
      assert example.question.count(" + ") + example.question.count(" - ") == terms - 1


def test_a_process_that_is_gone_is_one_line_and_another_takes_its_place():
  task = tasks.build(Gym())
  before = task.sample(0, 0, 2)
  gym_library._process().kill()
  gym_library._process().wait()
  with pytest.raises(RuntimeError, match="the process of reasoning-gym ended"):
    task.sample(0, 0, 2)
  assert task.sample(0, 0, 2) == before


def test_no_process_is_left_behind():
  code = (
    "from grpo_jax import config, tasks; from grpo_jax.tasks import gym_library\n"
    "tasks.build(config.Gym()); print(gym_library._process().pid, flush=True)\n"
    "import os; os.kill(os.getpid(), 9)"
  )
  done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  path = f"/proc/{int(done.stdout)}"
  for _ in range(100):
    if not os.path.exists(path):
      return
    time.sleep(0.1)
  pytest.fail("it is still there")


@pytest.mark.slow
def test_every_task_can_be_asked_and_repeats():
  """All but `composite`, which is made of others."""
  names = gym_library.ask("names")
  assert len(names) > 100
  for name in names:
    if name == "composite":
      continue
    task = tasks.build(Gym(name=name))
    assert task.sample(0, 0, 3) == task.sample(0, 0, 3), name
    assert task.sample(0, 1, 3) != task.sample(0, 0, 3), name
