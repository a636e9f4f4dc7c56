"""Real processes that signals end in every phase: how they end, and that nothing is lost."""

import signal
import subprocess
import time

import pytest

from tests.faults import tiny

pytestmark = pytest.mark.slow  # two processes each


@pytest.fixture(autouse=True)
def _hears_the_key():
  """What runs in the background may have been told to ignore it, and its children with it."""
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run that nothing happens to."""
  workdir = tmp_path_factory.mktemp("whole")
  done = tiny.run(workdir)
  assert done.returncode == 0, done.stderr
  return tiny.outcome(workdir)


def _resumes(workdir, whole, *flags):
  done = tiny.run(workdir, *flags)
  assert done.returncode == 0, done.stderr
  assert tiny.outcome(workdir) == whole


@pytest.mark.fault(2)
@pytest.mark.parametrize(
  "place",
  [
    # Between the two stages: the first is over, the reference of the second not yet there.
    pytest.param("save@3", marks=pytest.mark.fault(33)),
    pytest.param("rollout@1", marks=pytest.mark.fault(33)),
    *("rollout@3", "reward@2", "update@3", "evaluation@3", "save@1", "save@4+0.03"),
  ],
)
def test_a_killed_run_goes_on_to_the_same_end(tmp_path, whole, place):
  done = tiny.run(tmp_path, f"--inject_fault=sigkill:{place}")
  assert done.returncode == -signal.SIGKILL
  _resumes(tmp_path, whole)


@pytest.mark.fault(1)
@pytest.mark.parametrize(
  ("fault", "code", "compiled"),
  [
    # In the middle of the first compilation, which nothing can interrupt.
    ("sigterm:rollout@1+0.2", 143, "false"),
    ("sigint:update@2", 130, "true"),
    ("sigterm:save@7", 143, "true"),  # the last one
  ],
)
def test_one_that_is_asked_to_stop_says_how_to_go_on(tmp_path, whole, fault, code, compiled):
  flag = f"--inject_fault={fault}"
  done = tiny.run(tmp_path, flag, JAX_ENABLE_COMPILATION_CACHE=compiled)
  assert done.returncode == code, done.stderr
  first, last = done.stderr.splitlines()
  assert first.startswith(f"{fault[:7].rstrip(':').upper()}: what is in work ends and is saved")
  assert last.endswith(f"--workdir={tmp_path}")
  assert ", and saved; resume with: " in last
  _resumes(tmp_path, whole)


_BLOCKED = """
import os, time
from grpo_jax import config
from tests.faults import tiny
def get_config():
  found = tiny.get_config()
  found.stages["rl"].rewards = {__file__ + ":own": 1.0}
  found.scoring = config.Scoring(workers=0)  # in the run's own process, where nothing ends it
  return found
def own(prompt, completion, fields):
  calls.append(completion)
  while len(calls) > 20 and os.path.exists(os.path.join(os.path.dirname(__file__), "block")):
    time.sleep(0.1)
  return len(completion)
calls = []
"""


@pytest.mark.fault(1)
def test_a_second_signal_ends_it_at_once_and_harms_nothing(tmp_path):
  """While a reward keeps the run from what the first one has asked for."""
  (tmp_path / "own.py").write_text(_BLOCKED)
  (tmp_path / "block").touch()
  typed = tiny.command(tmp_path / "run", file=str(tmp_path / "own.py"))
  said = subprocess.PIPE
  process = subprocess.Popen(
    typed, stderr=said, stdout=subprocess.DEVNULL, text=True, env=tiny.environment()
  )
  _wait(lambda: '"rl", "step": 1,' in _text(tmp_path / "run" / "metrics.jsonl"), process)
  time.sleep(1)
  process.send_signal(signal.SIGTERM)
  assert process.stderr.readline().startswith("SIGTERM: what is in work ends and is saved")
  time.sleep(1)
  assert process.poll() is None
  process.send_signal(signal.SIGTERM)
  assert process.wait(5) == -signal.SIGTERM
  (tmp_path / "block").unlink()
  for workdir in (tmp_path / "run", tmp_path / "whole"):
    typed = tiny.command(workdir, file=str(tmp_path / "own.py"))
    subprocess.run(typed, check=True, capture_output=True, env=tiny.environment())
  assert tiny.outcome(tmp_path / "run") == tiny.outcome(tmp_path / "whole")


def _text(path):
  return path.read_text() if path.exists() else ""


def _wait(met, process, seconds=120):
  end = time.monotonic() + seconds
  while not met():
    assert process.poll() is None, process.stderr.read()
    assert time.monotonic() < end
    time.sleep(0.05)
