"""Whole runs of mixed tasks, levels, and tasks of one's own."""

import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.run import loop
from grpo_jax.run.checks import check_stages
from grpo_jax.tasks import build
from tests.run.stages_test import lines, params

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_SUMS = {"low": 0, "question": "{a}+{b}="}


def _experiment(task, rewards=None, **fields) -> config.Experiment:
  shape = {"hidden_size": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_size": 8, "ffn_size": 8}
  stage = config.GRPO(
    steps=8,
    rollout=config.Rollout(prompts=8, group_size=4, max_tokens=3),
    optimizer=config.Optimizer(lr=1e-2, min_lr=1e-2),
    rewards=rewards or {"task": 1.0},
    selection=config.Selection(**fields.pop("selection", {})),
    steps_per_program=fields.pop("steps_per_program", 1),
  )
  evaluation = {"problems": 8, "max_tokens": 3, "reward": "task"} | fields.pop("evaluation", {})
  return config.Experiment(
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=64, **shape)
    ),
    task=task,
    evaluation=config.Evaluation(**evaluation),
    checkpoint=config.Checkpoint(every=2),
    stages={"grpo": stage},
    **fields,
  )


def _climbing() -> config.Mixture:
  """A coin is the reward of one, so that its level goes up and down."""
  climb = config.Curriculum(
    task=config.Addition(**_SUMS, reward="random"),
    levels={"high": (9, 19, 99)},
    window=6,
    up=0.5,
    down=0.45,
  )
  plain = config.Addition(low=0, high=30, question="{a}&{b}=", reward="closeness")
  return config.Mixture(
    tasks={"climb": climb, "plain": plain}, weights={"climb": 3.0, "plain": 1.0}
  )


def _figures(workdir):
  mine = [line for line in lines(workdir) if "train/lr" in line]
  return [
    {k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in mine
  ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("whole")
  loop.run(_experiment(_climbing()), str(workdir), say=lambda line: None)
  return workdir


def test_each_task_of_a_mixture_is_told_by_itself(whole):
  figures = _figures(whole)
  for name in ("climb", "plain"):
    assert any(f"reward/{name}/mean" in line for line in figures)
    assert any(f"task/{name}/right" in line for line in figures)
  both = [line for line in figures if line.get("task/plain/share")]
  for line in both:
    shares = line["task/climb/share"], line["task/plain/share"]
    assert sum(shares) == pytest.approx(1)
    means = line["reward/climb/mean"], line["reward/plain/mean"]
    assert np.dot(shares, means) == pytest.approx(line["reward/mean"], abs=1e-6)
  assert both
  (first, *_) = [line for line in lines(whole) if "eval/accuracy" in line]
  names = ("eval/climb/accuracy", "eval/plain/accuracy")
  assert np.mean([first[name] for name in names]) == pytest.approx(first["eval/accuracy"])


def test_the_level_is_told_moves_and_is_what_was_asked(whole):
  levels = [line["task/climb/level"] for line in _figures(whole)]
  assert levels[0] == 0
  assert len(set(levels)) > 1
  with open(whole / "samples.jsonl") as file:
    records = [json.loads(line) for line in file]
  for record in records:
    if record["task"] == "climb":
      assert record["level"] == levels[record["step"] - 1]
      a, b = map(int, re.findall(r"\d+", record["prompt"]))
      assert max(a, b) <= (9, 19, 99)[record["level"]]
  assert any(int(re.findall(r"\d+", r["prompt"])[0]) > 9 for r in records if r["task"] == "climb")


@pytest.mark.parametrize(
  "after", [pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(7, marks=pytest.mark.slow)]
)
def test_a_killed_run_goes_on_at_the_same_level(whole, tmp_path, after):
  class KilledError(Exception):
    pass

  def kill(line):
    if re.search(rf"\b{after}/8\b", line):
      raise KilledError

  with pytest.raises(KilledError):
    loop.run(_experiment(_climbing()), str(tmp_path), say=kill)
  loop.run(_experiment(_climbing()), str(tmp_path), say=lambda line: None)
  assert _figures(tmp_path) == _figures(whole)
  np.testing.assert_array_equal(params(tmp_path), params(whole))


def _said(path, experiment) -> str:
  with pytest.raises(ConfigError) as error:
    loop.run(experiment, str(path / "run"), say=lambda line: None)
  assert "\n" not in str(error.value)
  assert not (path / "run").exists()
  return str(error.value)


def test_what_cannot_work_is_said_before_the_run(tmp_path):
  climb = config.Curriculum(task=config.Addition(**_SUMS), levels={"high": (9, 19)})
  bad = _experiment(climb, {"random": 1.0})
  assert "goes by evaluation.reward='task', which is not among random" in _said(tmp_path, bad)
  array = {"solution": 1.0}
  bad = _experiment(climb, array, steps_per_program=2, evaluation={"reward": "number"})
  assert "which is not among solution" in _said(tmp_path, bad)
  bad = _experiment(config.Addition(**_SUMS, reward="solution"))
  assert "config.task.reward='solution': must be a reward of texts" in _said(tmp_path, bad)
  bad = _experiment(config.Addition(**_SUMS, reward="nunber"))
  assert "no reward is called 'nunber': did you mean 'number'?" in _said(tmp_path, bad)
  pytest.importorskip("math_verify")
  bad = _experiment(config.Addition(**_SUMS, reward="math"), scoring=config.Scoring(workers=0))
  assert "config.scoring.workers must be 1 or more" in _said(tmp_path, bad)


def test_a_stage_may_end_by_one_task_of_a_mixture():
  whole = _experiment(_climbing(), {"task": 1.0}, evaluation={"every": 2})
  task = build(whole.task)
  whole.stages["grpo"].stop = config.Stop(figure="eval/plain/accuracy", held=1)
  check_stages(whole, task)
  whole.stages["grpo"].stop = config.Stop(figure="eval/plane/accuracy", held=1)
  with pytest.raises(ConfigError, match="did you mean 'eval/plain/accuracy'"):
    check_stages(whole, task)


def test_rows_that_are_left_out_are_told(tmp_path):
  rows = [{"question": f"{i}?", "answer": str(i)} for i in range(60)]
  path = tmp_path / "a.jsonl"
  path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
  task = config.Questions(train=str(path), held_out_share=0.3, on_bad_row="skip")
  said = []
  loop.run(_experiment(task), str(tmp_path / "run"), say=said.append)
  assert any(f"task: {path}: 1 rows were left out, the first: {path}:61" in line for line in said)


def test_a_task_of_ones_own_as_the_manual_has_it(tmp_path, monkeypatch):
  """The example of BUILD.md is run as it stands there."""
  text = (_ROOT / "BUILD.md").read_text()
  (code,) = re.findall(r"```python\n(# my_task\.py\n.*?)```", text, flags=re.DOTALL)
  (line,) = re.findall(r"^task = (config\.OwnTask\(.*\))$", text, flags=re.MULTILINE)
  monkeypatch.chdir(tmp_path)
  pathlib.Path("my_task.py").write_text(code)
  task = eval(line, {"config": config})
  loop.run(_experiment(task, {"task": 1.0}), str(tmp_path / "run"), say=lambda line: None)
  assert [line["reward/task"] for line in _figures(tmp_path / "run")] != [0.0] * 8


@pytest.mark.slow
def test_reasoning_gym_is_trained_on_and_goes_on_where_it_was_killed(tmp_path):
  pytest.importorskip("reasoning_gym")
  small = config.Gym(name="chain_sum", fields={"max_digits": 1, "min_digits": 1})
  climb = config.Curriculum(task=small, levels={"min_terms": (2, 3), "max_terms": (2, 3)})
  experiment = {"task": climb, "rewards": {"task": 1.0, "gym_exact": 0.0}}

  class KilledError(Exception):
    pass

  def kill(line):
    if re.search(r"\b5/8\b", line):
      raise KilledError

  def made():
    whole = _experiment(**experiment, evaluation={"scores": ("gym_exact",)})
    whole.model.architecture = config.Architecture(
      **{**vars(whole.model.architecture), "context_length": 256}
    )
    return whole

  loop.run(made(), str(tmp_path / "whole"), say=lambda line: None)
  with pytest.raises(KilledError):
    loop.run(made(), str(tmp_path / "parts"), say=kill)
  loop.run(made(), str(tmp_path / "parts"), say=lambda line: None)
  assert _figures(tmp_path / "parts") == _figures(tmp_path / "whole")
  np.testing.assert_array_equal(params(tmp_path / "parts"), params(tmp_path / "whole"))


@pytest.mark.slow
def test_a_process_that_is_killed_while_levels_move_goes_on_bit_equal(tmp_path):
  """Real processes and a real SIGKILL, in the scoring of the sixth step."""
  (tmp_path / "climb.py").write_text(
    "from tests.run import task_run_test\n"
    "def get_config():\n  return task_run_test._experiment(task_run_test._climbing())\n"
  )

  def train(name, *more):
    command = [sys.executable, "-m", "experiments.train", f"--config={tmp_path / 'climb.py'}"]
    command += [f"--workdir={tmp_path / name}", *more]
    return subprocess.run(command, cwd=_ROOT, env=os.environ | {"PYTHONPATH": str(_ROOT)})

  assert train("whole").returncode == 0
  assert train("parts", "--inject_fault=sigkill:reward@6").returncode == -9
  assert len(_figures(tmp_path / "parts")) < 8
  assert train("parts").returncode == 0
  assert _figures(tmp_path / "parts") == _figures(tmp_path / "whole")
  np.testing.assert_array_equal(params(tmp_path / "parts"), params(tmp_path / "whole"))


def test_an_environment_in_a_file_is_played_in_workers(tmp_path):
  """A class beside sample and held_out, with SFT on its turns before."""
  path = tmp_path / "game.py"
  path.write_text(
    "def sample(seed, step, count):\n  return [ask((step + n) % 3) for n in range(count)]\n"
    "def held_out(count):\n  return [ask(n % 3) for n in range(count)]\n"
    "def ask(n):\n"
    "  return {'question': 'go', 'left': n + 1, 'turns': ['1'] * (n + 1)}\n"
    "class Game:\n"
    "  def reset(self, fields):\n    self.left = fields['left']\n"
    "  def step(self, text):\n"
    "    self.left -= text.count('1')\n"
    "    return str(self.left), 0.5, self.left <= 0\n"
  )
  turns = {"max_tokens": 2, "turns": 2, "observation_tokens": 3}
  experiment = _experiment(
    config.OwnTask(file=str(path), environment="Game", held_out=8),
    rewards={"episode": 1.0},
    evaluation={"reward": "episode", **turns},
    scoring=config.Scoring(workers=1),
  )
  grpo = experiment.stages["grpo"]
  grpo.rollout, grpo.steps = config.Rollout(prompts=2, group_size=2, **turns), 2
  experiment.stages = {"sft": config.SFT(steps=2, batch_size=2, max_tokens=12), "grpo": grpo}
  loop.run(experiment, str(tmp_path / "run"))
  told = [line["reward/episode"] for line in lines(tmp_path / "run") if "reward/episode" in line]
  assert told == [0.5, 0.5]
