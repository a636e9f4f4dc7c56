"""Whole runs in an environment: learning from episodes, resuming, and what is refused."""

import json
import os
import re

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.parallel import ONE_DEVICE, Devices
from grpo_jax.run import loop
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.demonstrations import make_demonstrate
from grpo_jax.run.evaluate import make_evaluate
from grpo_jax.run.policy import load_policy
from grpo_jax.run.population import run_population
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example, Task, build
from grpo_jax.types import Rollout
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests import quick

_TURNS = {"max_tokens": 3, "turns": 2, "observation_tokens": 4}
_FAST = {"lr": 1e-2, "min_lr": 1e-2}


def _grpo(kind=config.GRPO, turns=_TURNS, **fields):
  sizes = config.Rollout(prompts=4, group_size=4, **turns)
  fields = {"steps": 2, "rewards": {"episode": 1.0, "random": 0.5}} | fields
  return kind(rollout=sizes, optimizer=config.Optimizer(**_FAST), **fields)


def _sft(**fields):
  fields = {"steps": 2, "batch_size": 8, "max_tokens": 12} | fields
  return config.SFT(optimizer=config.Optimizer(**_FAST), **fields)


def experiment(stages, task=None, evaluation=_TURNS, mode="single", **fields):
  shape = {"hidden_size": 8, "layers": 1, "heads": 1, "kv_heads": 1, "head_size": 8, "ffn_size": 8}
  given = {"reward": "episode"} | fields
  return config.Experiment(
    model=config.Model(
      tokenizer="characters", architecture=config.Architecture(context_length=32, **shape)
    ),
    task=task or config.Guess(low=0, high=9, question="{low}-{high}?", shown=2),
    evaluation=config.Evaluation(problems=8, batch_size=8, **given, **evaluation),
    parallel=config.Parallel(mode=mode),
    stages=stages,
  )


def run(own, workdir, say=lambda line: None):
  loop.run(own, str(workdir), say=say)
  with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as file:
    found = [json.loads(line) for line in file]
  return [{k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))}
          for line in found]  # fmt: skip


def params(workdir):
  checkpoints = Checkpointer(str(workdir), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest())
  checkpoints.close()
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(saved["params"])])


@pytest.mark.slow
def test_a_killed_run_of_episodes_goes_on_bit_for_bit(tmp_path):
  def stages():
    return {"sft": _sft(), "grpo": _grpo(steps=3)}

  whole = experiment(stages(), every=1)
  whole.checkpoint.every = 1
  lines = run(whole, tmp_path / "whole")

  class KilledError(Exception):
    pass

  def kill(line):
    if line.startswith("grpo after step 2"):
      raise KilledError

  killed, again = (experiment(stages(), every=1) for _ in range(2))
  killed.checkpoint.every = again.checkpoint.every = 1
  with pytest.raises(KilledError):
    run(killed, tmp_path / "parts", kill)
  assert run(again, tmp_path / "parts") == lines
  np.testing.assert_array_equal(params(tmp_path / "parts"), params(tmp_path / "whole"))


def test_an_episode_is_told_and_shown(tmp_path):
  lines = run(experiment({"sft": _sft(steps=80), "grpo": _grpo()}), tmp_path)
  last = [line for line in lines if "reward/mean" in line][-1]
  assert 1 <= last["episode/turns"] <= 2
  assert {"reward/episode", "reward/random", "episode/cut", "length/mean"} <= last.keys()
  with open(tmp_path / "samples.jsonl", encoding="utf-8") as file:
    records = [json.loads(line) for line in file]
  said = [text for record in records for text in record["completions"]]
  assert all(text.startswith("model: ") for text in said)
  # "higher" and "lower" are cut.
  assert any(re.search("\nenvironment: (high|lowe)\nmodel: ", text) for text in said)
  # Beside the model's tokens, what it was told: without a log-prob.
  for texts, values in zip(records[0]["tokens"], records[0]["logprobs"], strict=True):
    told = [text for text, value in zip(texts, values, strict=True) if value is None]
    assert set(told) <= {"high", "lowe"}
  assert any(None in values for record in records for values in record.get("logprobs", []))


KINDS = {
  "adapters": {"lora": config.LoRA(rank=2)},
  "off-policy": {"minibatches": 2, "epochs": 2, "strict": True},
  "kl": {"loss": config.LossConfig(kl_coefficient=0.1)},
  "refill": {"selection": config.Selection(no_signal="refill", rounds=2)},
  "constant": {
    "loss": config.LossConfig(aggregation="constant"),
    "shaping": config.Shaping(overlong_buffer=4, whiten=True),
  },
}


@pytest.mark.parametrize("name", quick.often(("off-policy",), KINDS))
def test_episodes_go_with_whatever_an_update_can_be(name, tmp_path):
  lines = run(experiment({"grpo": _grpo(**KINDS[name])}), tmp_path)
  last = [line for line in lines if "reward/mean" in line][-1]
  assert last["mismatch/log_max"] < 1e-4 or KINDS[name].get("epochs")
  assert last["train/nonfinite"] == 0
  assert last["train/grad_norm"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pmap", "mesh"])
def test_the_curve_is_that_of_one_device(mode, tmp_path):
  one = run(experiment({"grpo": _grpo()}), tmp_path / "one")
  many = run(experiment({"grpo": _grpo()}, mode=mode), tmp_path / mode)
  for left, right in zip(one, many, strict=True):
    assert left.keys() == right.keys()
    for name in ("reward/episode", "length/mean", "train/grad_norm", "eval/accuracy"):
      if name in left:
        assert left[name] == pytest.approx(right[name], rel=1e-3, abs=1e-5)


FIELDS = {"turns": {"turns": 3}, "observation_tokens": {"observation_tokens": 5}}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_turns_change_what_is_learned(name, tmp_path):
  """After demonstrations that guess on: an untrained model's turns are cut."""
  for at, turns in enumerate((_TURNS, _TURNS | FIELDS[name])):
    stages = {"sft": _sft(steps=80), "grpo": _grpo(turns=turns)}
    run(experiment(stages), tmp_path / str(at))
  assert not np.array_equal(params(tmp_path / "0"), params(tmp_path / "1"))


@pytest.mark.parametrize("name", FIELDS)
def test_the_fields_of_turns_change_the_evaluation(name, monkeypatch):
  """A model that says 5 whatever it hears: its turns are counted, and what it was told."""
  told = []

  def greedy(params, prompts, keys):
    told.append(np.asarray(prompts.tokens).shape[1])
    tokens = np.tile(np.array([*CharacterTokenizer().encode("5"), 96, 0]), (8, 1, 1))
    mask = np.tile(np.array([True, True, False]), (8, 1, 1))
    return Rollout(prompts, tokens, mask, np.zeros(mask.shape), np.ones((8, 1), bool))

  found = []
  for turns in (_TURNS, _TURNS | FIELDS[name]):
    own = experiment({"sft": _sft()}, evaluation=turns)
    policy, task = load_policy(own), build(own.task)
    setting = Setting(own, 0, policy.network, policy.tokenizer, task, ONE_DEVICE)
    monkeypatch.setattr(Devices, "program", lambda *args, **kwargs: greedy)
    told.clear()
    found.append((make_evaluate(setting, task.held_out(8))({}, {}), list(told)))
  assert found[0] != found[1]


@pytest.mark.slow
def test_members_of_a_population_play_as_they_would_alone(tmp_path):
  own = experiment({"sft": _sft(steps=10), "grpo": _grpo()})
  own.population = config.Population(size=2)
  run_population(own, str(tmp_path / "both"), say=lambda line: None)
  alone = experiment({"sft": _sft(steps=10), "grpo": _grpo()})
  alone.seed = 1
  lines = run(alone, tmp_path / "alone")
  with open(tmp_path / "both" / "member-001" / "metrics.jsonl", encoding="utf-8") as file:
    members = [json.loads(line) for line in file]
  for name in ("reward/episode", "episode/turns", "train/grad_norm"):
    left, right = ([n[name] for n in of if name in n] for of in (lines, members))
    assert left
    assert left == pytest.approx(right, rel=1e-3, abs=1e-5)


@pytest.mark.slow
def test_a_critic_has_the_reward_on_the_last_token_of_the_model(tmp_path):
  """The mask has a hole of an observation before the last turn: worked by hand."""
  from grpo_jax.run.ppo import token_advantages

  stage = config.PPO(gamma=1.0, lam=0.5, shaping=config.Shaping())
  mask = np.array([[[1, 1, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0]]], bool)
  values = np.array([[[0.5, 0.25, 9.0, np.nan, 0.75, 9.0], [0.1, 9, 9, 9, 9, 9]]], np.float32)
  advantages, returns = token_advantages(np.array([[2.0, 1.0]], np.float32), values, mask, stage)
  # Deltas 0.25 - 0.5, 0.75 - 0.25 and 2 - 0.75 of the model's tokens alone; lambda is 0.5.
  wanted = [-0.25 + 0.5 * (0.5 + 0.5 * 1.25), 0.5 + 0.5 * 1.25, 0, 0, 1.25, 0]
  np.testing.assert_allclose(advantages[0, 0], wanted, atol=1e-6)
  np.testing.assert_allclose(advantages[0, 1], [0.9, 0, 0, 0, 0, 0], atol=1e-6)
  own = np.where(mask, values, 0)[0, 0]
  np.testing.assert_allclose(returns[0, 0], np.where(mask[0, 0], wanted + own, 0), atol=1e-6)
  lines = run(experiment({"ppo": _grpo(config.PPO)}), tmp_path)
  assert [line["train/nonfinite"] for line in lines if "value/loss" in line] == [0, 0]


def _demonstrate(reset, examples, max_tokens=12):
  task = Task(lambda *_: [], lambda _: [], reset=reset)
  setting = Setting(experiment({"sft": _sft()}), 0, None, CharacterTokenizer(), task, None)
  return make_demonstrate(setting, max_tokens)(examples)


def test_demonstrations_are_played_and_observations_carry_no_loss():
  task = build(config.Guess(low=0, high=9))
  words = CharacterTokenizer()
  stop = words.stop_ids[0]
  example = Example([], {"answer": "7"}, turns=("4", "7"))
  tokens, mask = _demonstrate(task.reset, [example])
  ids = [*words.encode("4"), stop, *words.encode("higher7"), stop]
  np.testing.assert_array_equal(tokens[0, 0], ids + [0] * 2)
  np.testing.assert_array_equal(mask[0, 0], [True] * 2 + [False] * 6 + [True] * 2 + [False] * 2)


@pytest.mark.parametrize(
  ("turns", "size", "said"),
  [
    (("7", "4"), 12, "is done after turn 1"),
    (("4", "7"), 9, "10 tokens, more than max_tokens=9"),
    (("4", ""), 12, "an empty turn"),
    ((), 12, "an empty turn"),
  ],
)
def test_demonstrations_that_cannot_be_played_are_one_line(turns, size, said):
  task = build(config.Guess(low=0, high=9))
  with pytest.raises(config.ConfigError, match=said):
    _demonstrate(task.reset, [Example([], {"answer": "7"}, turns=turns)], size)


_PLAIN = config.Addition(low=0, high=9, question="{a}+{b}=")
_ONE = {"max_tokens": 3}
REFUSED = {
  "turns": (experiment({"g": _grpo(rewards={"number": 1.0})}, _PLAIN, _ONE, reward="number"),
            "stages.g.rollout.turns=2: the task is no environment"),
  "held-out turns": (experiment({"s": _sft()}, _PLAIN, reward="number"),
                     "evaluation.turns=2: the task is no environment"),
  "reward": (experiment({"g": _grpo(turns=_ONE)}, _PLAIN, _ONE, reward="number"),
             "'episode' is what an environment gives"),
  "held-out reward": (experiment({"s": _sft()}, _PLAIN, _ONE), "'episode' is what an environment"),
  "arrays": (experiment({"g": _grpo(rewards={"solution": 1.0})}), "'solution' reads arrays"),
  "programs": (experiment({"g": _grpo(turns=_ONE, steps_per_program=2, rewards={"episode": 1.0})}),
               "the task is an environment, which is asked between"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_played_is_one_line_before_anything_is_compiled(name, tmp_path):
  own, said = REFUSED[name]
  with pytest.raises(config.ConfigError, match=said):
    loop.run(own, str(tmp_path / "run"), say=lambda line: None)
  assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
  ("stage", "said"),
  [
    (_grpo(turns={"max_tokens": 3, "turns": 2}), "turns=2 with observation_tokens=0"),
    (_grpo(turns={"max_tokens": 3, "observation_tokens": 2}), "turns=1 with observation_tokens=2"),
    (_grpo(steps_per_program=2), "rollout.turns cannot be used with steps_per_program=2"),
    (_grpo(shaping=config.Shaping(overlong_buffer=7)), "longer than rollout.turns x max_tokens=6"),
    (_grpo(turns=_TURNS | {"turns": 5}), "answers of 31 tokens"),
  ],
)
def test_sizes_that_do_not_fit_are_refused(stage, said):
  own = experiment({"g": stage})
  own.model.architecture.context_length = 31
  with pytest.raises(config.ConfigError, match=said):
    config.check(own)


def test_an_environment_may_have_one_turn(tmp_path):
  lines = run(experiment({"g": _grpo(turns=_ONE)}, evaluation=_ONE), tmp_path)
  assert [line["episode/turns"] for line in lines if "episode/turns" in line] == [1.0, 1.0]
