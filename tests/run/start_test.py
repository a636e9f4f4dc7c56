"""What a real process meets as it starts: it works, or says in a line why it does not."""

import os
import shutil
import subprocess

import pytest

from tests.faults import mounts, tiny

_QUICK = ("--config.stages.sft.steps=1", "--config.stages.rl.steps=1")
# Where every program has to be compiled.
_QUICKER = (*_QUICK, "--stages=sft")


def _refused(done):
  """The line of a run that did not start."""
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.splitlines()
  return line


@pytest.mark.fault(43)
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_an_accelerator_that_is_not_there(tmp_path, platform):
  done = tiny.run(tmp_path / "run", JAX_PLATFORMS=platform)
  assert done.returncode == 2, done.stderr
  # Where the library of TPUs is installed it has lines of its own.
  (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
  assert f"JAX_PLATFORMS={platform}: jax finds no such device" in line
  assert not (tmp_path / "run").exists()


_DATA = """
from grpo_jax import config
from tests.faults import tiny
def get_config():
  found = tiny.get_config()
  found.task = config.Questions(train=__file__ + ".jsonl", held_out=__file__ + ".jsonl")
  found.model = config.Model(weights="/nowhere/at/all")
  return found
"""


@pytest.mark.fault(20)
def test_data_are_looked_at_before_the_model(tmp_path):
  """Neither can be used, and the data are said."""
  (tmp_path / "own.py").write_text(_DATA)
  (tmp_path / "own.py.jsonl").write_text('{"question": "a", "answer": "1"}\n{"question"\n')
  typed = tiny.command(tmp_path / "run", file=str(tmp_path / "own.py"))
  done = subprocess.run(typed, capture_output=True, text=True, env=tiny.environment())
  line = _refused(done)
  assert f"{tmp_path}/own.py.jsonl:2: broken JSON" in line
  assert "expected a JSON object with text in 'question' and 'answer'" in line
  assert not (tmp_path / "run").exists()


_ODD = {
  "plain C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
  "Turkish, and no UTF-8 on the terminal": {
    "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "PYTHONIOENCODING": "ascii",
  },
  "no TMPDIR": {"TMPDIR": "/nowhere/at/all"},
  "no home": {"HOME": "/nowhere/at/all", "JAX_COMPILATION_CACHE_DIR": None},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.fault(39)
@pytest.mark.parametrize("name", _ODD)
def test_odd_surroundings_change_nothing(tmp_path, name):
  done = tiny.run(tmp_path, *_QUICKER, **_ODD[name])
  assert done.returncode == 0, done.stderr
  assert done.stderr == ""
  assert '"stage": "sft", "step": 1' in (tmp_path / "metrics.jsonl").read_text()


@pytest.mark.slow
@pytest.mark.fault(38, 39)
def test_a_home_that_cannot_be_written_costs_the_compiled_programs_alone(tmp_path):
  """The compilation cache is below it."""
  (tmp_path / "home").mkdir()
  env = tiny.environment(HOME=str(tmp_path / "home"), JAX_COMPILATION_CACHE_DIR=None)
  command = " ".join(tiny.command(tmp_path / "run", *_QUICKER))
  done = mounts.run(mounts.read_only(tmp_path / "home") + command, cwd=tiny.ROOT, env=env)
  assert done.returncode == 0, done.stderr
  (line,) = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
  assert "compiled programs are not kept" in line
  assert f"{tmp_path}/home" in line


def _break(cache):
  for path in cache.iterdir():
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\0" * 8)


@pytest.mark.slow
@pytest.mark.fault(38)
def test_damaged_compiled_programs_are_compiled_anew(tmp_path):
  cache = tmp_path / "cache"
  first = tiny.run(tmp_path / "first", *_QUICKER, JAX_COMPILATION_CACHE_DIR=str(cache))
  assert first.returncode == 0, first.stderr
  assert len(list(cache.iterdir())) > 5
  _break(cache)
  second = tiny.run(tmp_path / "second", *_QUICKER, JAX_COMPILATION_CACHE_DIR=str(cache))
  assert second.returncode == 0, second.stderr
  assert len(second.stderr.splitlines()) <= 1, second.stderr
  assert tiny.outcome(tmp_path / "second") == tiny.outcome(tmp_path / "first")


@pytest.mark.slow
@pytest.mark.fault(23)
def test_a_tracker_without_room_costs_its_events_alone(tmp_path):
  """On a file system of its own, which is full."""
  events = tmp_path / "run" / "tensorboard"
  events.mkdir(parents=True)
  script = mounts.small(events, "4k") + f" cp /dev/zero {events}/full 2> /dev/null; "
  done = mounts.run(
    script + " ".join(tiny.command(tmp_path / "run", *_QUICK)),
    cwd=tiny.ROOT,
    env=tiny.environment(),
  )
  assert done.returncode == 0, done.stderr
  (line,) = done.stderr.splitlines()
  assert "TensorBoard events" in line
  assert "No space left on device" in line
  lines, _ = tiny.outcome(tmp_path / "run")
  assert [(n["stage"], n["step"]) for n in lines if "train/lr" in n] == [("sft", 1), ("rl", 1)]


# Set forward and back by days, as each save begins and the one before may be under way.
_JUMPS = """
import time
from grpo_jax.run.checkpoint import Checkpointer
real, save, saves = time.time, Checkpointer.save, []
time.time = lambda: real() + (-1) ** len(saves) * 86400 * len(saves)
def jumping(*args):
  saves.append(args)
  save(*args)
Checkpointer.save = jumping
"""


@pytest.mark.slow
@pytest.mark.fault(31)
def test_neither_clock_nor_host_nor_folder_make_a_difference(tmp_path):
  """Begun in one folder, and gone on with in another."""
  done = tiny.run(tmp_path / "whole")
  assert done.returncode == 0, done.stderr
  (tmp_path / "a").mkdir()
  done = tiny.run("run", "--inject_fault=sigkill:update@3", cwd=tmp_path / "a", before=_JUMPS)
  assert done.returncode == -9, done.stderr
  shutil.move(tmp_path / "a" / "run", tmp_path / "moved")
  done = tiny.run("../moved", cwd=tmp_path / "a", before=_JUMPS + _ELSEWHERE)
  assert done.returncode == 0, done.stderr
  assert tiny.outcome(tmp_path / "moved") == tiny.outcome(tmp_path / "whole")
  assert os.listdir(tmp_path / "a") == []


# As code of an experiment may do, after the run has begun.
_ELSEWHERE = """
import os, socket
from grpo_jax.run import loop
socket.gethostname = lambda: "elsewhere"
load = loop.load_policy
def leaving(experiment):
  os.chdir("/")
  return load(experiment)
loop.load_policy = leaving
"""
