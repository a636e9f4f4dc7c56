"""Whole runs learn, by a margin that another seed has too (make test-slow)."""

import statistics
import subprocess
import sys

import pytest

from tests.run.loop_test import _ROOT, _metrics

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1])
def test_grpo_raises_the_sampled_reward_of_the_tiny_experiment(tmp_path, seed):
  command = [sys.executable, "-m", "experiments.train", f"--workdir={tmp_path}"]
  command += ["--config=experiments/configs/tiny_arithmetic.py", f"--config.seed={seed}"]
  result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  lines = [line for line in _metrics(tmp_path) if line["stage"] == "grpo"]
  rewards = [line["reward/mean"] for line in lines if "reward/mean" in line]
  assert statistics.mean(rewards[-25:]) > statistics.mean(rewards[:25]) + 0.05
