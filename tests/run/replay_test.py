"""A step whose update was not finite is kept, and can be taken again."""

import json
import os
import re
import shutil
import threading

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.run import loop
from grpo_jax.run.replay import replay
from tests.run import stages_test


def _run(workdir, stage, fault=""):
  said = []
  whole = stages_test.experiment({"rl": stage}, every=2)
  whole.checkpoint.every = 2
  if isinstance(stage, config.RewardModel):
    whole.task, whole.model.architecture.context_length = config.Assistant(), 96
  loop.run(whole, str(workdir), say=said.append, fault=fault)
  return said


def _replayed(path):
  said = []
  return replay(str(path), said.append), said


@pytest.mark.fault(10)
@pytest.mark.parametrize(
  "stage",
  [stages_test._grpo(steps=4), pytest.param(stages_test._ppo(), marks=pytest.mark.slow)],
  ids=["grpo", "ppo"],
)
def test_one_bad_update_is_skipped_and_kept_and_is_bad_again(tmp_path, stage):
  said = _run(tmp_path, stage, "nan:update@2")
  bad = [line for line in stages_test.lines(tmp_path) if line.get("train/nonfinite")]
  assert [line["step"] for line in bad] == [2]
  assert bad[0]["train/skipped"] == 1
  assert np.isfinite(stages_test.params(tmp_path)).all()
  command = f"python -m experiments.replay {tmp_path}/bad/rl/2"
  assert f"rl step 2: not finite, skipped: {command}" in said

  again, lines = _replayed(tmp_path / "bad" / "rl" / "2")
  assert again
  same, whole = re.fullmatch(
    r"rl step 2: the update is not finite; (\d+) of (\d+) figures as then", lines[0]
  ).groups()
  assert same == whole
  assert int(whole) > 10
  assert not any(" was " in line for line in lines), lines
  assert any("batch: not finite: advantages" in line for line in lines)
  assert any("by itself not finite: 1 of 4 rows" in line for line in lines)
  assert any(line.startswith("  row 0: ") and "+" in line for line in lines)


@pytest.mark.fault(10)
@pytest.mark.slow
def test_only_the_first_and_the_last_of_a_stage_are_kept(tmp_path):
  """A learning rate that breaks the parameters: all that follows is bad, and the third ends it."""
  stage = stages_test._grpo(steps=9, max_nonfinite=2)
  stage.optimizer.lr = 3e38
  with pytest.raises(RuntimeError, match=r"not finite 2 times in a row.*experiments\.replay"):
    _run(tmp_path, stage)
  kept = sorted(int(name) for name in os.listdir(tmp_path / "bad" / "rl"))
  assert len(kept) == 2
  assert kept[1] == kept[0] + 1
  for step in kept:
    again, lines = _replayed(tmp_path / "bad" / "rl" / str(step) / "batch.npz")
    assert again
    assert re.search("by itself not finite: [1-4] of 4 rows", "".join(lines))


@pytest.mark.parametrize(
  "stage",
  [
    stages_test._sft(steps=4),
    pytest.param(
      config.RewardModel(steps=4, batch_size=4, max_tokens=30, held_out_pairs=4),
      marks=pytest.mark.slow,
    ),
    pytest.param(
      stages_test._grpo(
        steps=8,
        rewards={"solution": 1.0},
        steps_per_program=2,
        loss=config.LossConfig(entropy_coefficient=0.1),  # a gradient without any signal
      ),
      marks=pytest.mark.slow,
    ),
    pytest.param(stages_test._sft(steps=4, lora=config.LoRA(rank=2)), marks=pytest.mark.slow),
  ],
  ids=["sft", "reward_model", "program", "lora"],
)
def test_stages_of_other_kinds(tmp_path, stage):
  stage.optimizer = config.Optimizer(lr=3e38, min_lr=1e38, max_grad_norm=0.0)
  with pytest.raises(RuntimeError, match="not finite 3 times in a row"):
    _run(tmp_path, stage)
  for step in os.listdir(tmp_path / "bad" / "rl"):
    again, lines = _replayed(tmp_path / "bad" / "rl" / step)
    assert again
    assert not any(" was " in line for line in lines), lines


def test_a_finite_update_is_said_to_be(tmp_path):
  """As after the bug in a loss was mended: here the batch is."""
  _run(tmp_path, stages_test._grpo(), "nan:update@2")
  folder = tmp_path / "bad" / "rl" / "2"
  with np.load(folder / "batch.npz") as arrays:
    mended = {name: np.nan_to_num(leaf) for name, leaf in arrays.items()}
  np.savez(folder / "batch.npz", **mended)

  again, lines = _replayed(folder)
  assert not again
  assert "the update is finite" in lines[0]
  assert any("train/nonfinite was 1.0, is 0" in line for line in lines)
  assert not any("by itself" in line for line in lines)


@pytest.mark.fault(3, 10)
def test_a_batch_that_cannot_be_kept_is_no_reason_to_stop(tmp_path):
  (tmp_path / "bad").write_text("in the way")
  before = set(threading.enumerate())
  said = _run(tmp_path, stages_test._grpo(), "nan:update@2")
  left = [thread for thread in set(threading.enumerate()) - before if not thread.daemon]
  assert [thread.name for thread in left if not thread.name.startswith("ThreadPool")] == []
  assert any("bad/rl/2 could not be written" in line for line in said)
  assert stages_test.places(tmp_path)[-1] == ("rl", 3)


def test_what_cannot_be_replayed_is_one_line(tmp_path):
  with pytest.raises(ConfigError, match="no step is kept here"):
    replay(str(tmp_path), print)
  _run(tmp_path / "run", stages_test._grpo(), "nan:update@2")
  folder = tmp_path / "run" / "bad" / "rl" / "2"
  shutil.rmtree(folder / "state")
  with pytest.raises(ConfigError, match="has no state that could be read"):
    replay(str(folder), print)
  saved = json.loads((tmp_path / "run" / "config.json").read_text())
  del saved["classes"]
  (tmp_path / "run" / "config.json").write_text(json.dumps(saved))
  with pytest.raises(ConfigError, match="cannot be read"):
    replay(str(folder), print)


@pytest.mark.fault(11)
def test_a_spike_is_skipped_where_a_guard_is_on(tmp_path):
  stage = stages_test._grpo(steps=8)
  stage.optimizer.spike_sigma, stage.optimizer.spike_window = 6.0, 4
  _run(tmp_path, stage, "spike:update@6")
  lines = [line for line in stages_test.lines(tmp_path) if "train/spike" in line]
  assert [line["step"] for line in lines if line["train/spike"]] == [6]
  assert jax.tree.all([line["train/skipped"] == line["train/spike"] for line in lines])


def test_a_drill_that_spoils_what_is_not_there_is_refused(tmp_path):
  with pytest.raises(ConfigError, match="no stage has any on the host"):
    _run(tmp_path, stages_test._sft(), "nan:update@2")
