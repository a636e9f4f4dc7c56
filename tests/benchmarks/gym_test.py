"""The five tasks can be asked, and their table tells what run folders hold."""

import json

import pytest

from benchmarks import gym as benchmark
from experiments.configs import gym
from grpo_jax import tasks

pytest.importorskip("reasoning_gym")
_GRPO = {"stage": "grpo", "groups/no_signal": 0.5, "time/step_s": 2.0, "reward/mean": 0.2}
_LINES = [
  {"stage": "warm_start", "step": 0, "eval/accuracy": 0.125},
  {"stage": "warm_start", "step": 1, "time/step_s": 9.0},
  {"stage": "warm_start", "step": 1, "eval/accuracy": 0.25},
  {"stage": "grpo", "step": 0, "eval/accuracy": 0.25},
  _GRPO | {"step": 1},
  _GRPO | {"step": 2, "groups/no_signal": 0.25, "time/step_s": 1.4, "reward/mean": 0.4},
  {"stage": "grpo", "step": 2, "eval/accuracy": 0.75},
]
_SAMPLE = {"prompt": "Is it so?\n(Yes or|No)", "answer": "Yes"}


@pytest.mark.parametrize("name", gym.TASKS)
def test_a_task_has_questions_enough_that_no_answer_fits_all(name):
  experiment = gym.get_config(name)
  asked, held = experiment.task, experiment.evaluation.problems
  answers = [example.fields["answer"] for example in tasks.build(asked).held_out(held)]
  assert len(answers) == held
  assert max(answers.count(answer) for answer in set(answers)) < 0.6 * held


def test_the_table(tmp_path):
  """By hand: 0.375 of the groups without signal, 3.4 s of GRPO, and the last step's reward."""
  saved = {"task": {"name": "syllogism", "fields": {}}, "evaluation": {"problems": 20}}
  (tmp_path / "config.json").write_text(json.dumps({"config": saved}))
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in _LINES))
  (tmp_path / "samples.jsonl").write_text(json.dumps(_SAMPLE) + "\n")

  head, rule, row = benchmark.table({"syllogism": str(tmp_path)}).splitlines()
  assert head.count("|") == rule.count("|") == 12
  example = "Is it so? (Yes or\\|No) → Yes"
  assert row.startswith(f"| syllogism | logic | {example} | 0.125 | 0.250 | 0.750 | 0.")
  assert row.endswith(" | 0.38 | 2 | 3 | 0.400 |")
