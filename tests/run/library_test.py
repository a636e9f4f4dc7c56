"""Rewards, tasks and environments of a notebook: this module plays its part."""

import json
import random
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.isolated.turns import Turn
from grpo_jax.rewards import ArrayReward, resolve, reward_name
from grpo_jax.run.library import evaluate_run, run_experiment
from tests.run import small

_QUIET = {"say": lambda line: None}
_CALLS = []


def digits(prompt, completion, fields):
  """The share of digits; an answer that begins with a small letter cannot be scored."""
  _CALLS.append(completion)
  if completion[:1].islower():
    raise KeyError("a small letter")
  return sum(letter.isdigit() for letter in completion) / max(len(completion), 1)


@ArrayReward
def short(rollout, solutions):
  """In JAX: the share of the room that an answer leaves."""
  return 1 - jnp.mean(rollout.mask, axis=-1)


def sample(seed, step, count):
  draw = random.Random(f"{seed}/{step}")
  return [{"question": f"{draw.randrange(10**6)}=", "answer": "1"} for _ in range(count)]


def held_out(count):
  return [{"question": f"{n}?", "answer": "1"} for n in range(count)]


class Counting:
  """Ends after two turns."""

  def reset(self, fields):
    self.turns = 0

  def step(self, text):
    self.turns += 1
    return Turn("ok", float(len(text)), self.turns == 2)


def _experiment(rewards, task=None, **fields):
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=4, **fields.pop("rollout", {}))
  optimizer = config.Optimizer(lr=1e-2, min_lr=1e-2)
  own = {"steps": 4} | fields.pop("stage", {})
  stage = config.GRPO(rollout=sizes, optimizer=optimizer, rewards=rewards, **own)
  return small.experiment(task=task, stages={"grpo": stage}, **fields)


@pytest.fixture
def mine():
  return reward_name(digits)


def test_a_function_of_this_module_is_a_reward(tmp_path, mine):
  assert mine == f"{__name__}:digits"
  task = config.OwnTask(file=__name__, held_out=12)
  own = _experiment({mine: 1.0}, task, evaluation={"reward": mine}, scoring=_lenient())
  _CALLS.clear()
  metrics = run_experiment(own, tmp_path, **_QUIET)
  assert _CALLS  # in this very process
  assert [line["step"] for line in metrics if "reward/mean" in line] == [1, 2, 3, 4]
  assert sum(line.get("reward/failed/error", 0) for line in metrics) > 0
  own.seed = 3  # what was given is not frozen
  with open(tmp_path / "config.json", encoding="utf-8") as file:
    saved = json.load(file)
  assert saved["config"]["stages"]["grpo"]["rewards"] == {mine: 1.0}
  assert saved["sources"][mine].startswith("def digits(")
  assert saved["sources"][f"{__name__}:held_out"].startswith("def held_out(")
  report = evaluate_run(tmp_path, samples=2, **_QUIET)
  assert report["reward"] == mine
  assert report["figures"]["problems"] == 12


def _lenient():
  return config.Scoring(max_failed=0.9)


@pytest.mark.slow
def test_a_run_that_is_resumed_says_what_was_written_anew(tmp_path, mine):
  own = _experiment({mine: 1.0}, evaluation={"every": 2}, scoring=_lenient())

  class KilledError(Exception):
    pass

  def kill(line):
    if "3/4" in line:
      raise KilledError

  with pytest.raises(KilledError):
    run_experiment(own, tmp_path, say=kill)
  path = tmp_path / "config.json"
  saved = json.loads(path.read_text())
  saved["sources"][mine] = "def digits(prompt, completion, fields):\n  return 0.0\n"
  path.write_text(json.dumps(saved))
  said = []
  whole = run_experiment(own, tmp_path, say=said.append)
  assert f"since the run began {mine} was written anew: its figures are of both" in said
  assert [line["step"] for line in whole if "reward/mean" in line] == [1, 2, 3, 4]


@pytest.mark.parametrize("steps_per_program", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_reward_in_jax_is_compiled_in(tmp_path, steps_per_program):
  name = reward_name(short)
  own = _experiment(
    {name: 1.0}, stage={"steps_per_program": steps_per_program}, evaluation={"every": 0}
  )
  metrics = run_experiment(own, tmp_path, **_QUIET)
  assert any(line.get("reward/mean", 0) > 0 for line in metrics)


def test_an_environment_of_this_module_is_played_here(tmp_path):
  task = config.OwnTask(file=__name__, held_out=12, environment="Counting")
  turns = {"turns": 2, "observation_tokens": 4}
  own = _experiment(
    {"episode": 1.0}, task, rollout=turns, evaluation={"reward": "episode", **turns}
  )
  metrics = run_experiment(own, tmp_path, **_QUIET)
  assert max(line.get("episode/turns", 0) for line in metrics) > 1


def test_a_function_that_was_defined_again_is_the_new_one(monkeypatch, mine):
  assert resolve(mine) is digits
  monkeypatch.setattr(sys.modules[__name__], "digits", lambda prompt, completion, fields: 0.5)
  assert resolve(mine)("", "7", {}) == 0.5


def test_what_cannot_be_found_again_is_refused():
  def inner(prompt, completion, fields):
    return 1.0

  for function in (inner, lambda prompt, completion, fields: 1.0, np.float32(1)):
    with pytest.raises(ConfigError, match="a reward is a function at the top level"):
      reward_name(function)
  with pytest.raises(ConfigError, match=f"{__name__} has no function 'nothing'"):
    resolve(f"{__name__}:nothing")
