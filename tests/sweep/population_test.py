"""Trials as members of populations: the real command, whose trials share a process."""

import os
import subprocess
import sys

import pytest

from grpo_jax.config.population import can_vary
from tests.sweep import launch_test
from tests.sweep.helpers import options, study

_LR = "stages.sft.optimizer.lr"


@pytest.mark.parametrize(
  ("path", "can"),
  [
    ("seed", True),
    (_LR, True),
    ("stages.grpo.rewards.number", True),
    ("stages.grpo.rollout.group_size", False),
    ("evaluation.problems", False),
  ],
)
def test_what_members_can_vary(path, can):
  assert can_vary(path) == can


@pytest.mark.slow
@pytest.mark.parametrize("sizes", ["8", "8, 4"])
def test_trials_share_populations_by_what_can_vary(tmp_path, sizes):
  """Two batch sizes are two populations; a member that diverges is one trial's failure."""
  space = f"{_LR}=choice(1e-3, 1e30); stages.sft.batch_size=choice({sizes})"
  flags = [f"--space={space}", "--sampler=grid", "--population=4", "--seeds=2"]
  command = launch_test._command(tmp_path, *flags)
  done = subprocess.run(command, cwd=launch_test._ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  trials = study(options(tmp_path)).trials
  count = len(sizes.split(","))
  assert len(trials) == 2 * count
  assert len(os.listdir(tmp_path / "populations")) == count
  for trial in trials:
    failed = trial.params[_LR] == 1e30
    assert trial.state.name == ("FAIL" if failed else "COMPLETE"), trial.user_attrs
    assert ("not finite" in trial.user_attrs.get("reason", "")) == failed
    if not failed:
      assert set(trial.user_attrs["scores"]) == {"0", "1"}
      assert trial.user_attrs["interval"][0] <= trial.value
  # Each seed's figures stand where those of a trial by itself would.
  good = next(t.number for t in trials if t.state.name == "COMPLETE")
  for seed in (0, 1):
    assert (tmp_path / f"trials/{good:04d}/seed-{seed}/metrics.jsonl").exists()
  assert done.stdout.splitlines()[-1].startswith("the best again: " + sys.executable)
