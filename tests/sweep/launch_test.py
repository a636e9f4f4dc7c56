"""The real command: from flags to trained runs, and what is refused on the way."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep import launch
from tests.sweep.helpers import options, study

_ROOT = pathlib.Path(__file__).parents[2]
_SHORT = {
  "model.architecture.hidden_size": 32,
  "model.architecture.layers": 1,
  "model.architecture.ffn_size": 32,
  "evaluation.problems": 10,
  "evaluation.batch_size": 10,
  "evaluation.every": 2,
  "checkpoint.every": 2,
  "stages.sft.steps": 6,
  "stages.sft.batch_size": 8,
  "stages.sft.optimizer.min_lr": 0.0,
  "stages.sft.optimizer.warmup_steps": 0,
}
_EXPERIMENT = """
from experiments.configs import tiny_arithmetic

def get_config():
  experiment = tiny_arithmetic.get_config()
  del experiment.stages["grpo"]
  return experiment
"""


def _command(tmp_path, *flags):
  return [
    *(sys.executable, "-m", "experiments.sweep", f"--config={_file(tmp_path)}"),
    f"--workdir={tmp_path}",
    *(f"--config.{name}={value}" for name, value in _SHORT.items()),
    *flags,
  ]


def _file(tmp_path):
  path = tmp_path / "short.py"
  path.write_text(_EXPERIMENT)
  return path


def _figures(tmp_path, number):
  path = tmp_path / f"trials/{number:04d}/seed-0/metrics.jsonl"
  return path.read_text().splitlines() if path.exists() else []


@pytest.mark.fault(29)
def test_the_real_command_is_killed_goes_on_and_has_a_trial_that_diverges(tmp_path):
  space = "--space=stages.sft.optimizer.lr=choice(1e-3, 1e30)"
  command = _command(tmp_path, space, "--sampler=grid")
  first = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL)
  until = time.monotonic() + 90
  while len(_figures(tmp_path, 0)) < 4:
    assert time.monotonic() < until
    assert first.poll() is None
    time.sleep(0.02)
  first.send_signal(signal.SIGKILL)
  first.wait()
  done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 0, done.stdout + done.stderr
  found = study(options(tmp_path)).trials
  states = {t.params["stages.sft.optimizer.lr"]: t for t in found}
  assert states[1e-3].state.name == "COMPLETE"
  assert states[1e30].state.name == "FAIL"
  assert "not finite" in states[1e30].user_attrs["reason"]
  assert "failed: exit code 2: " in done.stdout
  assert "1 trials so far" in done.stdout
  assert done.stdout.splitlines()[-1].startswith("the best again: ")


def test_nothing_of_a_sweep_imports_jax(tmp_path):
  code = (
    "import sys; sys.argv = ['sweep']; import experiments.sweep; from tests.sweep import helpers;"
    f"helpers.sweep({str(tmp_path)!r}, trials=1, seeds=2); assert 'jax' not in sys.modules"
  )
  subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True)


@pytest.mark.parametrize(
  ("flags", "line"),
  [
    (["--space=sed=int(0,1)"], "error: the space: config has no field 'sed': did you mean 'seed'?"),
    (["--space=seed=int(0,1)", "--config.sed=1"], "config has no field 'sed'"),
    (["--space=seed=int(0,1)", "--sampler=best"], "error: a flag cannot be read: "),
    (["--space=seed=int(0,1)", "--dry_run"], "error: --slurm and --dry_run are of --launcher"),
  ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, flags, line):
  done = subprocess.run(_command(tmp_path, *flags), cwd=_ROOT, capture_output=True, text=True)
  assert done.returncode == 2
  assert line in done.stderr
  assert done.stderr.count("\n") == 1


@pytest.mark.fault(44)
@pytest.mark.parametrize("missing", ["optuna", "cmaes"])
def test_a_missing_extra_is_one_line(tmp_path, monkeypatch, missing):
  monkeypatch.setitem(sys.modules, missing, None)
  with pytest.raises(ConfigError, match=r"pip install 'grpo_jax\[sweep\]'"):
    launch.run(options(tmp_path), print)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(ConfigError, match="cannot be made"):
    launch.run(options(os.path.join(tmp_path, "file", "sweep")), print)
