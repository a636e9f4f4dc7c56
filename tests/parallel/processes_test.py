"""Several processes: the run of one, whichever there are, and an end of all when one is lost."""

import json
import math
import os
import re
import signal
import time

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.run.checkpoint import Checkpointer
from tests.parallel import fleet

_SHORT = (
  "--config.stages.sft.steps=2",
  "--config.stages.sft.batch_size=16",
  "--config.stages.sft.optimizer.warmup_steps=1",
  "--config.stages.grpo.steps=4",
  "--config.stages.grpo.rollout.prompts=8",
  "--config.stages.grpo.rollout.group_size=4",
  "--config.stages.grpo.optimizer.warmup_steps=2",
  "--config.stages.grpo.loss.kl_coefficient=0.01",
  "--config.stages.grpo.minibatches=2",
  "--config.evaluation.problems=15",  # which no number of processes divides
  "--config.evaluation.batch_size=16",
  "--config.evaluation.every=2",
  "--config.checkpoint.every=1",
)
_GLOO = re.compile(r"\[Gloo\]|peer ranks")
_PMAP = ("--config.parallel.mode=pmap",)
_MESH = ("--config.parallel.mode=mesh", "--config.parallel.fsdp=2")


def _run(workdir, count, flags, devices=None):
  """A whole run of `count` processes, over four devices."""
  started = fleet.train(workdir, count, *_SHORT, *flags, devices=devices or 4 // count)
  found = fleet.ended(started)
  for process in found:
    assert process.code == 0, process.err
  return found


def _lines(workdir, name):
  with open(workdir / f"{name}.jsonl", encoding="utf-8") as file:
    return [json.loads(line) for line in file]


def _assert_same_run(left, right):
  """Every word that was sampled; figures and parameters to rounding."""
  tokens = [[line["completions"] for line in _lines(run, "samples")] for run in (left, right)]
  assert tokens[0] == tokens[1]
  for one, other in zip(_lines(left, "metrics"), _lines(right, "metrics"), strict=True):
    one, other = (
      {k: math.nan if v is None else v for k, v in line.items() if k[:5] not in ("time/", "memor")}
      for line in (one, other)
    )
    assert other.pop("stage") == one.pop("stage")
    assert other == pytest.approx(one, rel=1e-3, abs=1e-4, nan_ok=True), one["step"]
  np.testing.assert_allclose(_parameters(left), _parameters(right), atol=1e-4)


def _parameters(workdir):
  checkpoints = Checkpointer(str(workdir), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest())
  checkpoints.close()
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(saved["params"])])


def _wait_for(workdir, stage, step, started, seconds=500):
  wanted, path = f'"stage": "{stage}", "step": {step},', workdir / "metrics.jsonl"
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    if path.exists() and wanted in path.read_text():
      return
    assert all(process.poll() is None for process in started), fleet.ended(started)
    time.sleep(0.02)
  raise AssertionError(f"no {stage} {step} within {seconds} s: {fleet.ended(started)}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
  """The run of one process with four devices."""
  workdir = tmp_path_factory.mktemp("alone")
  _run(workdir, 1, _PMAP)
  return workdir


def _programs(module, count, *arguments):
  """Last lines of a program's processes, which have two devices together, or one each."""
  port = fleet.free_port()
  numbers = [[str(port), str(count), str(index)] for index in range(count)]
  started = [fleet.start(module, [*arguments, *own], 2 // count or 1) for own in numbers]
  for process in fleet.ended(started, 100):
    assert process.code == 0, process.err
    yield process.out.splitlines()[-1]


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_processes_come_to_the_same_values_and_the_same_errors(count):
  assert list(_programs("tests.parallel.meeting", count)) == ["met"] * count


def test_no_thread_is_left_when_the_interpreter_ends():
  """One that comes back to it then aborts the process: exit code 134 of a run that was over."""
  assert list(_programs("tests.parallel.leaving", 2)) == ["left"] * 2


@pytest.mark.fault(30)
@pytest.mark.slow
def test_a_checkpoint_is_read_in_another_mode_and_by_another_number_of_processes(tmp_path):
  """Of two steps each, which the program counts."""
  for mode, count in (("mesh", 2), ("pmap", 2), ("pmap", 1), ("mesh", 2)):
    found = _programs("tests.parallel.keeping", count, str(tmp_path), mode)
    assert list(found) == ["kept"] * count, (mode, count)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [_PMAP, _MESH], ids=["pmap", "mesh"])
def test_two_processes_make_the_run_of_one(alone, tmp_path, flags):
  first, second = _run(tmp_path, 2, flags)
  _assert_same_run(alone, tmp_path)
  assert "held-out accuracy" in first.out
  # Gloo writes from many threads, and cuts its own lines: a number may stand alone.
  told = [line for line in second.out.splitlines() if not _GLOO.search(line)]
  assert "".join(told).strip(" 0123456789") == ""
  assert json.loads((tmp_path / "config.json").read_text())["devices"] == ["cpu: cpu"] * 4


@pytest.mark.slow
@pytest.mark.parametrize("flags", [_PMAP, _MESH], ids=["pmap", "mesh"])
def test_four_processes_make_the_run_of_one(alone, tmp_path, flags):
  _run(tmp_path, 4, flags)
  _assert_same_run(alone, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [_PMAP, _MESH], ids=["pmap", "mesh"])
def test_two_processes_play_the_episodes_of_one(tmp_path, flags):
  """Each plays its own prompts: what the environment says, and what it gives, is met by all."""
  config = "tests/parallel/episodes.py"
  for count in (1, 2):
    workdir = tmp_path / str(count)
    started = fleet.train(workdir, count, *flags, devices=4 // count, config=config)
    for process in fleet.ended(started):
      assert process.code == 0, process.err
  first, second = (_first_step(tmp_path / str(count)) for count in (1, 2))
  assert first["texts"] == second["texts"]
  assert any("environment: " in text for texts in first["texts"] for text in texts)
  assert second["figures"] == pytest.approx(first["figures"], rel=1e-3, abs=1e-4)
  assert first["figures"]["reward/episode"] > 0
  assert first["figures"]["episode/turns"] > 1


def _first_step(workdir):
  """Of GRPO, after 80 steps of SFT: in later ones rounding may tip a draw."""
  of = {"stage": "grpo", "step": 1}
  samples, metrics = (
    [line for line in _lines(workdir, name) if of.items() <= line.items()]
    for name in ("samples", "metrics")
  )
  told = next(line for line in metrics if "reward/mean" in line)
  names = ("reward/mean", "reward/episode", "episode/turns", "length/mean", "train/grad_norm")
  return {
    "texts": [line["completions"] for line in samples],
    "figures": {name: told[name] for name in names},
  }


def _lose(tmp_path, flags, how, lost=1, count=2):
  """Loses a process after step 2 of the second stage; those that are left, and their seconds."""
  flags = (*_SHORT, *flags, "--heartbeat_timeout_s=6")
  started = fleet.train(tmp_path, count, *flags, devices=4 // count)
  _wait_for(tmp_path, "grpo", 2, started)
  began = time.monotonic()
  os.kill(started[lost].pid, how)
  left = [process for index, process in enumerate(started) if index != lost]
  found = fleet.ended(left, 60)
  started[lost].kill()
  started[lost].communicate()
  return found, time.monotonic() - began


@pytest.mark.fault(1, 37)
@pytest.mark.slow
@pytest.mark.parametrize("asked", [0, 1])
def test_a_signal_to_one_of_two_ends_both_with_their_state_saved(alone, tmp_path, asked):
  """As where one machine of several is taken back."""
  started = fleet.train(tmp_path, 2, *_SHORT, *_PMAP, devices=2)
  _wait_for(tmp_path, "grpo", 1, started)
  started[asked].send_signal(signal.SIGTERM)
  for process in fleet.ended(started, 120):
    assert process.code == 143, process.err
    assert "stopped by SIGTERM, and saved; resume with: " in process.err
    assert "Traceback" not in process.err
  done = _lines(tmp_path, "metrics")[-1]["step"]
  (result,) = _run(tmp_path, 1, _PMAP)
  assert f"resuming grpo after step {done}" in result.out
  _assert_same_run(alone, tmp_path)


def _assert_told(found):
  for process in found:
    told = [line for line in process.err.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, process.err
    assert process.code == 3, process.err
    assert "another process of this run has ended or does not answer" in told[0]


@pytest.mark.fault(2, 37)
@pytest.mark.slow  # on a busy machine jax has been seen to abort the other before it has its code
def test_a_killed_process_ends_the_other_and_the_run_goes_on_on_one_of_them(alone, tmp_path):
  """From a mesh over two processes to copies in one."""
  found, seconds = _lose(tmp_path, _MESH, signal.SIGKILL)
  _assert_told(found)
  assert seconds < 20
  (result,) = _run(tmp_path, 1, _PMAP)
  assert "resuming grpo after step" in result.out
  _assert_same_run(alone, tmp_path)


@pytest.mark.fault(37)
@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_process_ends_the_others_and_the_run_goes_on_on_others(alone, tmp_path, how, lost):
  """From copies in four processes to a mesh over two."""
  found, seconds = _lose(tmp_path, _PMAP, how, lost, count=4)
  _assert_told(found)
  assert seconds < 30
  _run(tmp_path, 2, _MESH)
  _assert_same_run(alone, tmp_path)


@pytest.mark.fault(37)
def test_what_cannot_be_run_is_the_same_line_of_all(tmp_path):
  """The folder is looked at by the first process only."""
  (tmp_path / "config.json").write_text("{}")
  for process in fleet.ended(fleet.train(tmp_path, 2, *_SHORT, *_PMAP, devices=1), 100):
    assert process.code == 2, process.err
    assert "config.json cannot be read" in process.err
    assert len(process.err.strip().splitlines()) == 1, process.err


def test_flags_of_several_processes_without_the_first_are_refused(tmp_path):
  (found,) = fleet.ended(fleet.train(tmp_path, 1, "--process_count=2", devices=1), 100)
  assert found.code == 2
  assert found.err == "error: --process_count=2 is of --distributed\n"
