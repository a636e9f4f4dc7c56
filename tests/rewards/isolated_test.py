"""Rewards that hang, crash, eat memory or misbehave: each costs one answer, and soon."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from grpo_jax.config import ConfigError, Scoring
from grpo_jax.isolated.pool import Workers
from grpo_jax.rewards import score

_REWARD = """
import ctypes, os, signal, subprocess, sys, time
seen = []
def own(prompt, completion, fields):
  seen.append(completion)
  if completion == "sleep":
    time.sleep(60)
  if completion == "loop":
    while True: pass
  if completion == "power":
    return len(str(10 ** 10 ** 9))  # in C, where no signal is heard
  if completion == "segfault":
    ctypes.string_at(0)
  if completion == "exit":
    os._exit(3)
  if completion == "leave":
    sys.exit(0)
  if completion == "memory":
    return len(bytearray(10 ** 11))
  if completion == "none":
    return None
  if completion == "text":
    return "1"
  if completion == "infinite":
    return float("inf")
  if completion == "children":
    subprocess.Popen(["sleep", "61.25"])
    time.sleep(60)
  if completion == "print":
    print("printed", input())
  if completion == "alarm":
    signal.alarm(1)
  if completion == "environment":
    os.environ["LEFT"] = "1"
  return float(len(completion))
"""
_GOOD = "good"
_HANGING = ("sleep", "loop", "power", "children")
_NO_NUMBERS = ("none", "text", "infinite")
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_ENV = os.environ | {"PYTHONPATH": _ROOT}


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
  folder = tmp_path_factory.mktemp("rewards")
  (folder / "own.py").write_text(_REWARD)
  return folder


@pytest.fixture(scope="module")
def workers(reward):
  made = Workers(Scoring(workers=2, timeout_s=1.5, memory_gb=2), str(reward / "log"))
  yield made
  made.close()


def _score(reward, workers, answers, **limits):
  fields = [{} for _ in answers]
  name = f"{reward / 'own.py'}:own"
  return score(
    {name: 1.0}, ["?"] * len(answers), [[a] for a in answers], fields, workers=workers, **limits
  )


@pytest.mark.parametrize(
  ("answer", "kind"),
  [
    *(pytest.param(a, "timeout", marks=pytest.mark.fault(14)) for a in _HANGING),
    *(pytest.param(a, "crash", marks=pytest.mark.fault(16)) for a in ("segfault", "exit")),
    pytest.param("memory", "error", marks=pytest.mark.fault(16)),
    pytest.param("leave", "error", marks=pytest.mark.fault(12)),
    pytest.param("print", "error", marks=pytest.mark.fault(36)),
    *(pytest.param(a, "invalid", marks=pytest.mark.fault(15)) for a in _NO_NUMBERS),
  ],
)
def test_each_costs_one_answer_within_its_time(reward, workers, answer, kind):
  _score(reward, workers, [_GOOD] * 2)  # processes are there
  started = time.monotonic()
  found = _score(reward, workers, [_GOOD, answer, _GOOD, _GOOD])
  assert time.monotonic() - started < 15
  np.testing.assert_array_equal(found.total[[0, 2, 3], 0], [4, 4, 4])
  assert np.isnan(found.total[1, 0])
  assert found.failures == {k: int(k == kind) for k in found.failures}


@pytest.mark.fault(14)
def test_what_a_reward_has_started_ends_with_it(reward, workers):
  _score(reward, workers, [_GOOD, "children"])
  end = time.monotonic() + 10
  while _running("61.25") and time.monotonic() < end:
    time.sleep(0.1)
  assert not _running("61.25")


def _running(argument):
  for name in filter(str.isdigit, os.listdir("/proc")):
    try:
      with open(f"/proc/{name}/cmdline", "rb") as file:
        words = file.read().split(b"\0")
    except OSError:
      continue
    if argument.encode() in words:
      return True
  return False


@pytest.mark.fault(36)
def test_what_it_prints_and_changes_stays_there(reward, workers, capfd):
  _score(reward, workers, ["environment", _GOOD, "print", _GOOD])
  assert "LEFT" not in os.environ
  assert "printed" not in capfd.readouterr().out


@pytest.mark.fault(14, 16)
def test_too_many_failures_stop_the_run_and_say_which(reward, workers):
  said = r"2 of 4 answers \(1 timeout, 1 crash\), more than scoring.max_failed=0.25"
  with pytest.raises(RuntimeError, match=said):
    _score(reward, workers, [_GOOD, "exit", "sleep", _GOOD], max_failed=0.25)
  with pytest.raises(RuntimeError, match=r"all 2 answers \(2 timeout\): took longer than .*=1.5"):
    _score(reward, workers, ["sleep", "sleep"])


def test_a_thousand_answers_cost_little(reward, workers):
  _score(reward, workers, [_GOOD] * 2)
  started = time.monotonic()
  found = _score(reward, workers, [_GOOD] * 1000)
  assert found.total.sum() == 4000
  assert time.monotonic() - started < 20  # half a second by itself


@pytest.mark.fault(1)
def test_a_run_that_is_asked_to_stop_does_not_wait(reward):
  class StoppedError(Exception):
    pass

  def pause():
    raise StoppedError

  made = Workers(Scoring(workers=1, timeout_s=60), str(reward / "log"))
  started = time.monotonic()
  with pytest.raises(StoppedError):
    made.map(str(reward / "own.py"), "own", [("?", "sleep", {})], pause)
  made.close()
  assert time.monotonic() - started < 15


@pytest.mark.fault(44)
def test_without_pebble_it_is_a_line(reward, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "pebble", None)
  with pytest.raises(ConfigError, match=r"pip install 'grpo_jax\[rewards\]'"):
    _score(reward, Workers(Scoring(), str(reward / "log")), [_GOOD])


@pytest.mark.fault(16)
def test_a_process_that_ends_between_two_calls_is_replaced(reward):
  made = Workers(Scoring(workers=1, timeout_s=20), str(reward / "log"))
  assert made.map(str(reward / "own.py"), "own", [("?", "alarm", {})]) == [("scored", 5.0)]
  time.sleep(2.5)
  assert made.map(str(reward / "own.py"), "own", [("?", _GOOD, {})]) == [("scored", 4.0)]
  made.close()


def test_what_a_file_imports_is_not_in_the_time_of_a_call(tmp_path):
  (tmp_path / "slow.py").write_text("import time\ntime.sleep(3)\ndef own(*_):\n  return 1.0\n")
  path = str(tmp_path / "slow.py")
  made = Workers(Scoring(workers=1, timeout_s=1.5), str(tmp_path / "log"), [path])
  assert made.map(path, "own", [("?", "a", {})]) == [("scored", 1.0)]
  made.close()


_SCRIPT = """
import sys
from grpo_jax.config import Scoring
from grpo_jax.isolated.pool import Workers
print("main", flush=True)
made = Workers(Scoring(workers=1, timeout_s=60), sys.argv[2])
print(made.map(sys.argv[1], "own", [("?", "good", {})]), flush=True)
made.map(sys.argv[1], "own", [("?", sys.argv[3], {})])
"""


@pytest.mark.fault(42)
@pytest.mark.parametrize("answer", ["loop", "power"])
def test_a_killed_run_leaves_no_worker_and_a_script_needs_no_guard(reward, tmp_path, answer):
  script = tmp_path / "script.py"
  script.write_text(_SCRIPT)
  mark = str(tmp_path / "the_log")
  command = [sys.executable, str(script), str(reward / "own.py"), mark, answer]
  process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=_ENV)
  assert process.stdout.readline() == "main\n"
  assert process.stdout.readline() == "[('scored', 4.0)]\n"
  time.sleep(1)
  (worker,) = _children(process.pid)
  process.kill()
  process.wait()
  end = time.monotonic() + 10
  while os.path.exists(f"/proc/{worker}/exe") and time.monotonic() < end:
    time.sleep(0.1)
  assert not os.path.exists(f"/proc/{worker}/exe")


def _children(pid):
  """Those that are in a group of their own, as workers are."""
  with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
    found = file.read().split()
  for task in os.listdir(f"/proc/{pid}/task"):
    with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
      found += file.read().split()
  return [int(n) for n in dict.fromkeys(found) if os.getpgid(int(n)) == int(n)]
