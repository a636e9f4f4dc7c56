"""Whole runs learn, by a margin that another seed has too (make test-slow)."""

import os
import statistics
import subprocess
import sys

import pytest

from tests import quick
from tests.run.loop_test import _ROOT, _metrics

pytestmark = pytest.mark.slow


# By how much the mean reward of 25 steps has risen from the first to the last ones.
RISES = {"tiny_arithmetic": 0.05, "guessing_game": 0.1, "calculator": 0.1}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", RISES)
def test_grpo_raises_the_sampled_reward_of_an_experiment_from_scratch(tmp_path, name, seed):
  command = [sys.executable, "-m", "experiments.train", f"--workdir={tmp_path}"]
  command += [f"--config=experiments/configs/{name}.py", f"--config.seed={seed}"]
  result = subprocess.run(
    command, cwd=_ROOT, env=os.environ | quick.FOR_PEOPLE, capture_output=True, text=True
  )
  assert result.returncode == 0, result.stderr
  lines = [line for line in _metrics(tmp_path) if line["stage"] == "grpo"]
  rewards = [line["reward/mean"] for line in lines if "reward/mean" in line]
  assert statistics.mean(rewards[-25:]) > statistics.mean(rewards[:25]) + RISES[name]
