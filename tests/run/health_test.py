"""Illnesses of a run: by hand, and in runs that are built to have them."""

import json
import math
import time

import pytest

from grpo_jax import config
from grpo_jax.run.doctor import examine
from grpo_jax.run.health import CHECKS, Health, diagnose
from tests.run import stages_test

_WELL = {
  "policy/entropy": 2.0,
  "groups/no_signal": 0.2,
  "groups/all_right": 0.1,
  "length/truncated": 0.1,
  "policy/kl_ref": 0.02,
  "reward/mean": 0.5,
  "mismatch/log_mean": 0.001,
  "train/nonfinite": 0.0,
  "train/spike": 0.0,
  "reward/failed/error": 0.0,
}


def _steps(count, start=1, **changed):
  figures = _WELL | {name.replace("__", "/"): value for name, value in changed.items()}
  return [{"stage": "rl", "step": start + n} | figures for n in range(count)]


def _evaluation(step, accuracy, problems=200.0):
  return {"stage": "rl", "step": step, "eval/accuracy": accuracy, "eval/problems": problems}


def _names(lines):
  return [(step, said.partition(":")[0]) for _, step, said in diagnose(lines)]


def test_a_run_that_is_well_is_told_nothing():
  lines = [_evaluation(0, 0.4), *_steps(40), _evaluation(40, 0.38)]
  assert _names(lines) == []


@pytest.mark.parametrize(
  ("changed", "name", "said"),
  [
    ({"policy__entropy": 0.19}, "entropy collapse", "0.19, less than a tenth of the 2"),
    ({"groups__no_signal": 0.81}, "no signal", "most are all wrong: easier prompts"),
    ({"groups__no_signal": 0.9, "groups__all_right": 0.8}, "no signal", "harder prompts"),
    ({"length__truncated": 0.31}, "length explosion", "31% of answers were cut off"),
    ({"mismatch__log_mean": 0.06}, "sampler mismatch", "differ by 0.06"),
    ({"reward__failed__error": 0.012}, "failing reward", "1.2% of answers (error)"),
  ],
)
def test_five_steps_of_an_illness_are_one(changed, name, said):
  lines = _steps(1) + _steps(6, start=2, **changed)
  ((_, step, found),) = diagnose(lines)
  assert step == 6
  assert found.startswith(f"{name}: ")
  assert said in found
  assert _names(_steps(1) + _steps(4, start=2, **changed) + _steps(9, start=6)) == []


def test_kl_that_rises_tenfold_within_twenty_steps():
  assert _names(_steps(20) + _steps(1, start=21, policy__kl_ref=0.21)) == [(21, "KL blow-up")]
  assert _names(_steps(20) + _steps(1, start=21, policy__kl_ref=0.19)) == []
  # From nothing, as every run begins.
  assert _names(_steps(20, policy__kl_ref=0.0) + _steps(1, start=21, policy__kl_ref=0.05)) == []


def test_a_reward_that_rises_as_the_held_out_score_falls():
  before, after = _steps(10), _steps(10, start=11, reward__mean=0.8)
  sick = [_evaluation(0, 0.4), *before, _evaluation(10, 0.6), *after, _evaluation(20, 0.4)]
  assert _names(sick) == [(20, "reward hacking")]
  # Within what 200 problems can tell; and with a reward that falls too, which is no hacking.
  assert _names([*sick[:-1], _evaluation(20, 0.55)]) == []
  both = [_evaluation(10, 0.6), *_steps(10, start=11, reward__mean=0.3), _evaluation(20, 0.4)]
  assert _names([*before, *both]) == []


def test_a_reward_of_nothing_counts_as_what_it_was():
  before = _steps(1, reward__mean=0.9) + _steps(19, start=2, reward__mean=0.0)
  lines = [*before, _evaluation(20, 0.8), *_steps(20, start=21, reward__mean=0.6)]
  assert _names([*lines, _evaluation(40, 0.3)]) == [(40, "reward hacking")]


def test_a_reward_is_compared_with_that_of_the_best_step_after_many():
  """Steps are looked at once: a hundred thousand are replayed in no time."""
  before = _steps(50_000, reward__mean=0.2)
  after = _steps(50_000, start=50_001, reward__mean=0.6)
  lines = [_evaluation(0, 0.4), *before, _evaluation(50_000, 0.8), _evaluation(50_000, 0.8), *after]
  began = time.process_time()
  found = diagnose([*lines, _evaluation(100_000, 0.4)])
  assert time.process_time() - began < 30  # it was minutes
  assert [(step, said.partition(":")[0]) for _, step, said in found] == [
    (100_000, "reward hacking")
  ]
  assert "fell from 0.80 (step 50000) to 0.40" in found[0][2]
  assert "rose from 0.20 to 0.60" in found[0][2]


@pytest.mark.parametrize("figure", ["train__nonfinite", "train__spike"])
def test_skipped_updates_are_loud_at_five_percent(figure):
  assert _names(_steps(19) + _steps(1, start=20, **{figure: 1.0})) == [(20, "numbers gone bad")]


def test_what_is_missing_or_null_is_no_illness():
  """Stages of other kinds, and figures that were not finite."""
  assert diagnose([{"stage": "sft", "step": n, "loss/sft": 1.0} for n in range(30)]) == []
  assert diagnose(_steps(30, policy__entropy=None, policy__kl_ref=None, reward__mean=None)) == []
  assert math.isnan(Health().recent("reward/mean"))


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
  """Answers of three tokens with no end, two likely tokens, and a step that is far too large."""
  folder = tmp_path_factory.mktemp("sick")
  (folder / "own.py").write_text(
    "def ones(prompt, completion, fields):\n  return completion.count('1')\n"
  )
  stage = config.GRPO(
    steps=60,
    rollout=config.Rollout(prompts=8, group_size=4, max_tokens=3, top_k=4),
    optimizer=config.Optimizer(lr=5e-2, min_lr=5e-2),
    loss=config.LossConfig(kl_coefficient=1e-6),
    rewards={f"{folder / 'own.py'}:ones": 1.0},
  )
  return folder / "run", stages_test.run({"rl": stage}, folder / "run")


@pytest.mark.parametrize(
  "name",
  [
    "entropy collapse",
    pytest.param("no signal", marks=pytest.mark.fault(17)),
    pytest.param("length explosion", marks=pytest.mark.fault(18)),
    "sampler mismatch",
    "KL blow-up",
  ],
)
def test_a_run_that_is_built_ill_says_so_once_and_to_the_doctor(sick, name):
  workdir, said = sick
  assert said.count(f": {name}: ") == 1
  lines = examine(str(workdir))
  assert sum(f": {name}: " in line for line in lines) == 1
  assert [f"warning: {line.partition(': ')[2]}" for line in lines] == [
    line for line in said.splitlines() if line.startswith("warning: ")
  ]


def test_the_doctor_refuses_what_is_no_run_and_reads_up_to_a_torn_line(tmp_path):
  with pytest.raises(config.ConfigError, match=r"is no run folder: it has no metrics.jsonl"):
    examine(str(tmp_path))
  lines = [json.dumps(line) for line in _steps(6, length__truncated=0.9)]
  (tmp_path / "member-000").mkdir()
  (tmp_path / "member-000" / "metrics.jsonl").write_text("\n".join([*lines, '{"stage": "r']))
  (tmp_path / "member-001").mkdir()  # it failed before its first step
  found, empty = examine(str(tmp_path))
  assert empty.endswith("member-001: no figures; log.txt may say why")
  assert "member-000: rl step 5: length explosion" in found


def test_every_check_has_a_test():
  assert set(CHECKS) == {
    "entropy collapse", "no signal", "length explosion", "KL blow-up", "reward hacking",
    "sampler mismatch", "numbers gone bad", "failing reward",
  }  # fmt: skip
