"""Which prompts a step asks, and which groups its update gets."""

import dataclasses
import types

import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.rewards import Scores
from grpo_jax.run import gather as gather_module
from grpo_jax.run.answers import Answers, joined
from grpo_jax.run.gather import make_gather
from grpo_jax.tasks import Example, Task
from grpo_jax.types import Prompts, Rollout

P, G, T = 4, 2, 3


def _examples(count, start=0):
  return [
    Example([{"role": "user", "content": f"q{start + i}"}], {"answer": "1"}) for i in range(count)
  ]


def _answers(examples, totals):
  count = len(examples)
  tokens = np.arange(count * G * T).reshape(count, G, T)
  rollout = Rollout(
    Prompts(np.zeros((count, 1), np.int32), np.ones((count, 1), bool)),
    tokens,
    np.ones((count, G, T), bool),
    np.zeros((count, G, T)),
    np.ones((count, G), bool),
  )
  total = np.asarray(totals, np.float32)
  texts = [[f"{e.messages[-1]['content']}/{g}" for g in range(G)] for e in examples]
  return Answers(
    examples,
    rollout,
    texts,
    Scores(total, {"number": total}, total[None], np.ones(1), {"error": 1}),
    np.ones(2),
  )


@pytest.fixture
def world(monkeypatch):
  """A task of numbered questions, and a sampler whose rewards a test sets by question."""
  rewards, sampled = {}, []

  def sampler(setting, stage):
    def sample(params, step, examples, first):
      asked = examples[first : first + P]
      sampled.append([e.messages[-1]["content"] for e in asked])
      return _answers(asked, [rewards.get(e.messages[-1]["content"], (0, 1)) for e in asked])

    return sample

  monkeypatch.setattr(gather_module, "make_sampler", sampler)
  task = Task(lambda seed, step, count: _examples(count, 100 * step), lambda count: [])
  evaluation = types.SimpleNamespace(reward="number")
  experiment = types.SimpleNamespace(seed=0, evaluation=evaluation)
  setting = types.SimpleNamespace(task=task, experiment=experiment, steps_before=0)
  return types.SimpleNamespace(setting=setting, rewards=rewards, sampled=sampled)


def _stage(**selection):
  stage = config.GRPO(
    rollout=config.Rollout(prompts=P, group_size=G, max_tokens=T),
    selection=config.Selection(**selection),
  )
  config.check(stage)
  return stage


@pytest.mark.parametrize("no_signal", ["keep", "drop"])
def test_without_refill_there_is_one_round_and_all_of_it_is_used(world, no_signal):
  world.rewards |= {"q1": (1, 1)}
  answers, rows = make_gather(world.setting, _stage(no_signal=no_signal))(None, 0)
  assert world.sampled == [["q0", "q1", "q2", "q3"]]
  assert rows.tolist() == [0, 1, 2, 3]
  assert answers.signal().tolist() == [True, False, True, True]


def test_a_full_first_round_is_not_refilled(world):
  _, rows = make_gather(world.setting, _stage(no_signal="refill"))(None, 0)
  assert len(world.sampled) == 1
  assert rows.tolist() == [0, 1, 2, 3]


def test_groups_without_signal_are_replaced_by_others(world):
  world.rewards |= {"q0": (1, 1), "q2": (0, 0), "q5": (0.5, 0.5 + 1e-8)}
  answers, rows = make_gather(world.setting, _stage(no_signal="refill"))(None, 0)
  assert world.sampled == [["q0", "q1", "q2", "q3"], ["q4", "q5", "q6", "q7"]]
  used = answers.rows(rows)
  assert [e.messages[-1]["content"] for e in used.examples] == ["q1", "q3", "q4", "q6"]
  assert used.texts[0] == ["q1/0", "q1/1"]
  assert used.signal().all()


def test_refilling_ends_at_its_limit(world):
  world.rewards |= {f"q{i}": (0, 0) for i in range(100)} | {"q9": (0, 1)}
  answers, rows = make_gather(world.setting, _stage(no_signal="refill", rounds=3))(None, 0)
  assert len(world.sampled) == 3
  assert len(answers.examples) == 3 * P
  assert len(rows) == P
  assert rows[0] == 9
  assert answers.rows(rows).signal().tolist() == [True, False, False, False]


def test_what_is_joined_keeps_its_order_and_adds_up():
  """Pitfall 9: tokens, texts and rewards of a prompt stay together."""
  left, right = _answers(_examples(2), [(0, 1)] * 2), _answers(_examples(1, 7), [(1, 1)])
  both = joined(left, right)
  assert [e.messages[-1]["content"] for e in both.examples] == ["q0", "q1", "q7"]
  assert both.texts[2] == ["q7/0", "q7/1"]
  np.testing.assert_array_equal(both.rollout.tokens[2], right.rollout.tokens[0])
  assert both.scores.total.tolist() == [[0, 1], [0, 1], [1, 1]]
  assert both.scores.failures == {"error": 2}
  assert both.seconds.tolist() == [2.0, 2.0]


def test_a_solved_prompt_is_not_asked_again(world):
  stage = _stage(retire_at=0.9)
  world.rewards |= {"q0": (1, 1), "q1": (1, 0.5)}
  world.setting.task = Task(lambda seed, step, count: _examples(count), lambda count: [])
  gather = make_gather(world.setting, stage)
  gather(None, 0)
  gather(None, 1)
  assert world.sampled == [["q0", "q1", "q2", "q3"], ["q1", "q2", "q3", "q4"]]


def test_a_resumed_run_knows_what_was_solved(world):
  """From samples.jsonl, where a reward that could not be given is null."""
  past = [{"prompt": "q0", "rewards": [1.0, None]}, {"prompt": "q1", "rewards": [0.0, 1.0]}]
  gather = make_gather(world.setting, _stage(retire_at=0.9), past)
  gather(None, 0)
  assert world.sampled == [["q1", "q2", "q3", "q4"]]


def test_where_all_are_solved_they_are_asked_all_the_same(world):
  past = [{"prompt": f"q{i}", "rewards": [1.0, 1.0]} for i in range(100)]
  _, rows = make_gather(world.setting, _stage(retire_at=0.9), past)(None, 0)
  assert len(rows) == P
  assert world.sampled == [["q0", "q1", "q2", "q3"]]


def test_a_later_stage_goes_on_with_the_data(world):
  world.setting.steps_before = 3
  make_gather(world.setting, _stage())(None, 1)
  assert world.sampled == [[f"q{400 + i}" for i in range(4)]]


def test_answers_are_frozen():
  answers = _answers(_examples(1), [(0, 1)])
  with pytest.raises(dataclasses.FrozenInstanceError):
    answers.texts = []
