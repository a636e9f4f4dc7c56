"""A reward model as a stage: it learns a preference, is left in a folder, and scores answers."""

import copy
import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.parallel import make_devices
from grpo_jax.run.judge import judged
from grpo_jax.run.learned import make_learned_reward
from grpo_jax.run.policy import load_policy
from grpo_jax.run.reward_model import make_reward_model_runner
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Pair, Task
from grpo_jax.types import Prompts, Rollout


def _task() -> Task:
  """Sums; answers of the digit 7 are preferred to others, at any length."""
  base = tasks.build(config.Addition(low=0, high=9, question="{a}+{b}="))

  def pairs(seed, step, count):
    rng = np.random.default_rng([seed, step % 2**32])
    examples = base.sample(seed, abs(step), count)
    return [Pair(example, *_answers(rng)) for example in examples]

  return Task(base.sample, base.held_out, pairs=pairs)


def _answers(rng):
  other = str(rng.integers(7)) * int(rng.integers(1, 3))
  return "7" * int(rng.integers(1, 3)), other


def _setting(tmp_path, stage, hidden_size=16):
  shape = {"layers": 1, "heads": 2, "kv_heads": 2, "head_size": 8, "ffn_size": 16}
  architecture = config.Architecture(hidden_size=hidden_size, context_length=16, **shape)
  experiment = config.Experiment(
    model=config.Model(tokenizer="characters", architecture=architecture),
    task=config.Addition(low=0, high=9, question="{a}+{b}="),
    evaluation=config.Evaluation(max_tokens=4),
    stages={"rm": stage},
  )
  config.check(experiment)
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  setting = Setting(
    experiment, 0, policy.network, policy.tokenizer, _task(), devices, str(tmp_path)
  )
  return setting, policy


def _stage(**fields):
  optimizer = config.Optimizer(lr=1e-2, min_lr=1e-3)
  fields = {"steps": 30, "batch_size": 32, "max_tokens": 3} | fields
  return config.RewardModel(optimizer=optimizer, **fields)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  folder, stage = tmp_path_factory.mktemp("rm"), _stage()
  setting, policy = _setting(folder, stage)
  runner = make_reward_model_runner(setting, stage)
  state = setting.devices.replicate(runner.init(policy.params))
  before = runner.judge(state)
  for step in range(stage.steps):
    state, told = runner.advance(state, step)
  figures = told()[0].figures
  runner.finish(state.params)
  return setting, runner, before, runner.judge(state), figures


def _rollout(setting, texts):
  ids = [setting.tokenizer.encode("3+4=")] * 2
  tokens, mask = np.zeros((2, 4, 3), np.int32), np.zeros((2, 4, 3), bool)
  for column, text in enumerate(texts):
    own = [*setting.tokenizer.encode(text), setting.tokenizer.stop_ids[0]]
    tokens[:, column, : len(own)], mask[:, column, : len(own)] = own, True
  prompts = Prompts(np.array(ids, np.int32), np.ones((2, 4), bool))
  return Rollout(prompts, tokens, mask, np.zeros((2, 4, 3), np.float32), np.ones((2, 4), bool))


def test_it_learns_what_is_preferred(trained):
  _, runner, before, after, figures = trained
  assert runner.policy is None
  assert before["eval/reward_accuracy"] < 0.1  # undecided: no score is higher
  assert after["eval/reward_accuracy"] > 0.95
  assert after["eval/reward_margin"] > 1
  assert after["eval/reward_loss"] < before["eval/reward_loss"] == pytest.approx(np.log(2))
  assert abs(after["eval/reward_length_bias"]) < 0.5
  assert {"loss/reward_model", "train/nonfinite", "time/step_s"} <= figures.keys()


def test_what_it_left_scores_answers_standardised(trained):
  setting, *_ = trained
  reward = make_learned_reward(setting, "stage:rm")
  scores = reward(_rollout(setting, ["7", "77", "3", "5"]))
  assert scores.shape == (2, 4)
  assert scores.dtype == np.float32
  assert (scores[:, :2] > 0).all()
  assert (scores[:, 2:] < 0).all()
  assert np.abs(scores).max() < 4  # in standard deviations
  np.testing.assert_allclose(scores[0], scores[1], atol=1e-5)


def test_another_run_reads_it_from_its_folder_and_a_second_finish_changes_nothing(trained):
  setting, runner, *_ = trained
  folder = f"model:{setting.workdir}/reward_models/rm"
  rollout = _rollout(setting, ["7", "77", "3", "5"])
  expected = make_learned_reward(setting, "stage:rm")(rollout)
  np.testing.assert_array_equal(make_learned_reward(setting, folder)(rollout), expected)
  runner.finish(
    setting.devices.replicate(runner.init(load_policy(setting.experiment).params).params)
  )
  np.testing.assert_array_equal(make_learned_reward(setting, folder)(rollout), expected)


def test_a_model_that_is_not_there_or_of_another_decoder_is_one_line(trained):
  setting, *_ = trained
  with pytest.raises(config.ConfigError, match="there is no reward model in"):
    make_learned_reward(setting, "stage:other")
  other, _ = _setting(setting.workdir, _stage(), hidden_size=24)
  with pytest.raises(config.ConfigError, match="a decoder of another kind"):
    make_learned_reward(other, "stage:rm")


@pytest.mark.fault(24)
@pytest.mark.parametrize(
  ("part", "other", "said"),
  [
    ("tokenizer", "0" * 64, "another tokenizer or chat template"),
    ("architecture", {"rope_theta": 5e5}, "a decoder of another kind"),
  ],
)
def test_a_model_of_other_ids_or_another_decoder_is_refused(trained, tmp_path, part, other, said):
  """Pitfall 22: reward model and policy have the same ids for the same text."""
  setting, *_ = trained
  folder = shutil.copytree(setting.workdir, tmp_path / "run")
  path = folder / "reward_models" / "rm.json"
  path.write_text(json.dumps(json.loads(path.read_text()) | {part: other}))
  with pytest.raises(config.ConfigError, match=said):
    make_learned_reward(setting, f"model:{folder}/reward_models/rm")
  path.unlink()
  with pytest.raises(config.ConfigError, match=r"rm\.json cannot be read"):
    make_learned_reward(setting, f"model:{folder}/reward_models/rm")


def test_an_answer_that_ends_with_another_stop_token_scores_as_with_the_usual_one(trained):
  """Pitfall 22: what the model has learned to read its score at."""
  setting, *_ = trained
  usual, other = setting.tokenizer.stop_ids[0], setting.tokenizer.encode("z")[0]
  rollout = _rollout(setting, ["7", "77", "3", "5"])
  swapped = rollout.replace(tokens=np.where(rollout.tokens == usual, other, rollout.tokens))
  two = copy.copy(setting.tokenizer)
  two.stop_ids = (usual, other)
  reward = make_learned_reward(dataclasses.replace(setting, tokenizer=two), "stage:rm")
  np.testing.assert_allclose(reward(swapped), reward(rollout), atol=1e-6)


FIELDS = {
  "batch_size": {"batch_size": 16},
  "max_tokens": {"max_tokens": 4},
  "margin": {"margin": 1.0},
  "centering": {"centering": 0.1},
}


def _run(tmp_path, **fields):
  stage = _stage(steps=2, **fields)
  setting, policy = _setting(tmp_path, stage)
  runner = make_reward_model_runner(setting, stage)
  state = runner.init(policy.params)
  for step in range(2):
    state, _ = runner.advance(state, step)
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(state.params)])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return _run(tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("name", sorted(FIELDS.keys() - {"max_tokens"}))
def test_every_field_changes_what_is_learned(name, plain, tmp_path):
  assert not np.array_equal(plain, _run(tmp_path, **FIELDS[name]))


def test_an_answer_over_the_limit_is_refused(tmp_path):
  with pytest.raises(config.ConfigError, match="answers of 1 to 1 tokens are needed"):
    _run(tmp_path, max_tokens=2)


def test_a_task_without_pairs_says_what_is_missing(tmp_path):
  stage = _stage()
  setting, _ = _setting(tmp_path, stage)
  bare = tasks.build(setting.experiment.task)
  with pytest.raises(config.ConfigError, match="the task has no preferences"):
    make_reward_model_runner(Setting(**{**vars(setting), "task": bare}), stage)


def test_files_of_preferences(tmp_path):
  rows = '{"prompt": "1+1=", "chosen": "7", "rejected": "2"}\n'
  other = '{"prompt": "1+2=", "chosen": "7", "rejected": "2"}\n'
  (tmp_path / "a.jsonl").write_text(rows * 2)
  (tmp_path / "b.jsonl").write_text(other * 2)
  files = config.Preferences(train=f"{tmp_path}/a.jsonl", held_out=f"{tmp_path}/b.jsonl")
  assert np.isfinite(_run(tmp_path, pairs=files, batch_size=2, held_out_pairs=2)).all()
  (tmp_path / "b.jsonl").write_text('{"prompt": "1+2=", "chosen": "7"}\n' * 2)
  with pytest.raises(config.ConfigError, match=r"b\.jsonl:1: expected .*'rejected', found"):
    _run(tmp_path, pairs=files, batch_size=2, held_out_pairs=2)
  (tmp_path / "b.jsonl").write_text(rows)
  with pytest.raises(config.ConfigError, match=r"1 rows of .* stand in"):
    _run(tmp_path, pairs=files, batch_size=2, held_out_pairs=2)


def test_figures_of_held_out_pairs_by_hand():
  scores = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 3.0], [1.0, 0.0]], np.float32)
  lengths = np.array([[1, 2], [2, 1], [2, 2], [3, 1]])
  found = judged(scores, lengths)
  assert found["eval/reward_accuracy"] == 0.5
  assert found["eval/reward_margin"] == 0.5
  assert found["eval/reward_accuracy_shorter"] == 1
  assert found["eval/reward_accuracy_longer"] == 0.5
  expected = np.mean(np.log1p(np.exp(-np.array([2.0, -1.0, 0.0, 1.0]))))
  assert found["eval/reward_loss"] == pytest.approx(expected)
  # Confidences 0.88, 0.73, 0.5 and 0.73: two in one bin, half of them right.
  sigmoid = 1 / (1 + np.exp(-np.array([2.0, 1.0])))
  calibration = (1 - sigmoid[0]) / 4 + 2 * abs(0.5 - sigmoid[1]) / 4 + 0.5 / 4
  assert found["eval/reward_calibration"] == pytest.approx(calibration)
  correlation = np.corrcoef(scores.ravel(), lengths.ravel())[0, 1]
  assert found["eval/reward_length_bias"] == pytest.approx(correlation)
