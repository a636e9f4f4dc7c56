"""What a well-behaved program gets, how others end, and what the judge refuses."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from grpo_jax.sandbox import judge, launch, pipes
from grpo_jax.sandbox.judge import SandboxError, run_python
from grpo_jax.sandbox.limits import Limits
from tests.sandbox.hosts import _of_sessions

_MODES = [("namespaces", "landlock"), ("namespaces",), ("landlock",)]
_USUAL = (
  "abc, array, bisect, calendar, collections, copy, csv, ctypes, dataclasses, datetime, decimal,"
  " enum, fractions, functools, hashlib, heapq, io, itertools, json, math, operator, pathlib,"
  " queue, random, re, statistics, string, struct, textwrap, threading, time, typing, unicodedata,"
  " uuid, zlib"
)


def _run(source, *arguments, name="f", **options):
  (found,) = run_python(source, [{"call": name, "args": list(arguments)}], **options)
  return found


def test_values_are_what_json_makes_of_them():
  source = "def f(x): return x\ndef g(): return (1, {2: None})"
  calls = [
    {"call": "f", "args": [value]} for value in (1, 2.5, "ä\ud800", [True, None], {"a": [1]})
  ]
  found = run_python(source, [*calls, {"call": "g", "args": []}])
  assert [outcome.value for outcome in found] == [
    1, 2.5, "ä\ud800", [True, None], {"a": [1]}, [1, {"2": None}],
  ]  # fmt: skip
  assert {outcome.kind for outcome in found} == {"value"}
  assert not any(outcome.ended for outcome in found)


@pytest.mark.parametrize("layers", _MODES)
def test_the_standard_library_is_there(layers):
  found = _run(f"import {_USUAL}\ndef f(): return math.gcd(12, 18)", layers=layers)
  assert (found.kind, found.value) == ("value", 6), found.reason


def test_calls_share_a_process_and_one_that_raises_harms_no_other():
  source = "n = 0\ndef f(x):\n  global n\n  n += 1\n  return n // x"
  found = run_python(source, [{"call": "f", "args": [x]} for x in (1, 0, 1)])
  assert [outcome.kind for outcome in found] == ["value", "error", "value"]
  assert (found[0].value, found[2].value) == (1, 3)
  assert found[1].reason.startswith("ZeroDivisionError: ")


@pytest.mark.parametrize(
  ("source", "said"),
  [
    ("def f(:", "SyntaxError"), ("", "has no function 'f'"), ("f = 3", "has no function 'f'"),
    ("import numpy", "ModuleNotFoundError"), ("1/0", "ZeroDivisionError"), ("\0", "null bytes"),
    ("x = '\ud800'", "Unicode"), ("def f(x): pass", "TypeError"), ("f = input", "EOFError"),
    ("def f(): raise ValueError('a\\n\\x1b[31mb')", "ValueError: a [31mb"),
    ("def f():\n  class E(Exception):\n    __str__ = 1\n  raise E", "without a text"),
  ],
)  # fmt: skip
def test_a_program_that_fails_has_a_line_for_a_reason(source, said):
  found = _run(source)
  assert found.kind == "error"
  assert said in found.reason
  assert "\n" not in found.reason


def test_it_is_no_main_program_and_its_dataclasses_work():
  source = """
from __future__ import annotations
import dataclasses
@dataclasses.dataclass
class A:
  x: int
if __name__ == "__main__": raise SystemExit
def f(): return [__name__, A(3).x]"""
  assert _run(source).value == ["answer", 3]


def test_its_folder_may_be_written_where_it_is_its_own():
  source = "def f():\n  open('a', 'w').write('b')\n  return open('a').read()"
  assert _run(source, layers=["namespaces"]).value == "b"
  assert _run(source, layers=["landlock"]).reason.startswith("PermissionError: [Errno 1]")


def test_the_same_program_returns_the_same():
  """Sets of text are in the order of their hashes, which Python draws anew for each process."""
  source = "def f(): return list({str(i) for i in range(50)})"
  assert _run(source) == _run(source)


def test_answers_before_the_end_stay_and_the_rest_are_told_why():
  source = "import os\ndef f(x):\n  if x: os._exit(7)\n  return x"
  found = run_python(source, [{"call": "f", "args": [x]} for x in (0, 1, 0)])
  assert [(o.kind, o.ended) for o in found] == [("value", False), ("error", True), ("error", True)]
  assert found[2].reason == "it exited with code 7 before it had answered"


def test_a_request_larger_than_a_pipe_and_no_calls():
  assert _run("def f(x): return len(x)" + "\n# " * 10**5, "y" * 10**6).value == 10**6
  assert run_python("1/0", []) == []


def test_from_many_threads_at_once():
  with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda x: _run("def f(x): return x", x).value, range(12)))
  assert found == list(range(12))


@pytest.mark.parametrize("layers", [(), ("seccomp",), ("namespaces", "other")])
def test_no_layer_for_files_is_refused(layers):
  with pytest.raises(ValueError, match="expected one or both of namespaces, landlock"):
    _run("def f(): pass", layers=layers)


@pytest.mark.fault(28)
@pytest.mark.parametrize("missing", [("seccomp",), ("namespaces", "landlock")])
def test_a_machine_without_a_layer_is_refused_in_one_line(monkeypatch, missing):
  there = {name: f"no {name}\nhere" for name in missing}
  monkeypatch.setattr(
    judge, "layers", lambda: {"seccomp": None, "namespaces": None, "landlock": None} | there
  )
  for ask in (lambda: _run("def f(): pass"), judge.check):
    with pytest.raises(SandboxError) as error:
      ask()
    assert all(f"{name}: no {name} here" in str(error.value) for name in missing)
    assert "\n" not in str(error.value)
    assert "none is run" in str(error.value)


@pytest.mark.parametrize(
  "broken", ["namespaces.change_root", "landlock.restrict", "seccomp.install"]
)
def test_a_layer_that_fails_as_it_is_set_up_is_refused_and_nothing_runs(
  monkeypatch, tmp_path, broken
):
  room, name = broken.split(".")
  off = (
    f"from grpo_jax.sandbox import {room}\ndef fail(*_, **__): raise OSError(1, 'not here')\n"
    f"{room}.{name} = fail\nmain()"
  )
  monkeypatch.setattr(launch, "_START", launch._START.replace("; main()", "\n" + off))
  with pytest.raises(SandboxError, match="not here"):
    _run(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(): pass", layers=_MODES[0])
  assert not (tmp_path / "ran").exists()


def test_a_launcher_that_does_not_start_or_hangs_is_told_apart(monkeypatch):
  monkeypatch.setattr(launch, "_START", "raise RuntimeError('broken')#{!r}")
  with pytest.raises(SandboxError, match="RuntimeError: broken"):
    _run("", layers=_MODES[0])
  monkeypatch.setattr(launch, "_START", "import time; time.sleep(60)#{!r}")
  monkeypatch.setattr(pipes, "_GRACE_S", 0.2)
  found = _run("", limits=Limits(wall_s=0.2), layers=_MODES[0])
  assert (found.kind, found.reason, found.ended) == ("timeout", "its 0.2 s were over", True)
  # More than a pipe holds: a launcher that reads nothing must not hold up the judge.
  started = time.monotonic()
  assert _run("#" * 10**6, limits=Limits(wall_s=0.2), layers=_MODES[0]).kind == "timeout"
  assert time.monotonic() - started < 5


def test_the_name_of_the_machine_is_not_told():
  assert _run("import os\ndef f(): return os.uname()[1]", layers=["namespaces"]).value == "answer"


@pytest.mark.fault(28)
def test_nothing_survives_a_judge_that_is_killed(tmp_path):
  """SIGKILL leaves it no time to tidy up: the launcher must see it itself."""
  code = (
    "from grpo_jax.sandbox.judge import run_python\nfrom grpo_jax.sandbox.limits import Limits\n"
    "print(1, flush=True)\n"
    "run_python('import time\\ndef f(): time.sleep(60)', [{'call': 'f', 'args': []}],"
    " Limits(wall_s=60))"
  )
  command = [sys.executable, "-c", code]
  process = subprocess.Popen(
    command, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}
  )
  process.stdout.readline()
  children = []
  while len(children) < 1 or not list(tmp_path.iterdir()):
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = [int(pid) for pid in path.read_text().split()] if path.exists() else [process.pid]
    time.sleep(0.02)
  time.sleep(0.5)
  process.kill()
  process.wait()
  deadline = time.monotonic() + 5
  while _of_sessions(children) and time.monotonic() < deadline:
    time.sleep(0.02)
  assert _of_sessions(children) == []


def test_the_launcher_sees_a_signal_for_it_and_ends_both(monkeypatch):
  started = []
  popen = subprocess.Popen

  def recorded(*arguments, **options):
    started.append(popen(*arguments, **options))
    return started[-1]

  judge.layers()
  monkeypatch.setattr(subprocess, "Popen", recorded)
  with ThreadPoolExecutor(1) as pool:
    asked = pool.submit(_run, "import time\ndef f(): time.sleep(60)", limits=Limits(wall_s=60))
    time.sleep(1)
    os.kill(started[0].pid, signal.SIGKILL)
    assert asked.result(10).reason == "its launcher was ended from outside"


@pytest.mark.parametrize(
  "wrong",
  [{"cpu_s": 0}, {"cpu_s": 1.5}, {"wall_s": 0}, {"wall_s": float("nan")}, {"memory_bytes": -1},
   {"open_files": 3}, {"files": True}],
)  # fmt: skip
def test_limits_out_of_range_are_refused(wrong):
  with pytest.raises(ValueError, match=rf"Limits\.{next(iter(wrong))}="):
    Limits(**wrong)
