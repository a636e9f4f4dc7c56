"""Whole runs, as a person starts them: files, resume after SIGKILL, errors of one line."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from experiments.configs import tiny_arithmetic
from grpo_jax.config import ConfigError
from grpo_jax.run import loop

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Two short stages of the tiny experiment, with everything on that a resume has to restore.
_SHORT = (
  "--config.stages.sft.steps=6",
  "--config.stages.sft.batch_size=16",
  "--config.stages.sft.optimizer.warmup_steps=2",
  "--config.stages.grpo.steps=8",
  "--config.stages.grpo.rollout.prompts=8",
  "--config.stages.grpo.rollout.group_size=4",
  "--config.stages.grpo.optimizer.warmup_steps=2",
  "--config.stages.grpo.loss.kl_coefficient=0.01",
  "--config.stages.grpo.minibatches=2",
  "--config.evaluation.problems=16",
  "--config.evaluation.batch_size=16",
  "--config.evaluation.every=3",
  "--config.checkpoint.every=2",
)


def _command(workdir, *flags):
  config = os.path.join("tests", "run", "short.py")
  return [
    sys.executable, "-m", "experiments.train", f"--config={config}", f"--workdir={workdir}",
    *_SHORT, *flags,
  ]  # fmt: skip


def _run(workdir, *flags):
  return subprocess.run(_command(workdir, *flags), cwd=_ROOT, capture_output=True, text=True)


def _metrics(workdir):
  """The lines without what depends on the clock or the machine."""
  with open(workdir / "metrics.jsonl", encoding="utf-8") as file:
    lines = [json.loads(line) for line in file]
  return [
    {k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in lines
  ]


def _state(workdir):
  """The bytes of the last checkpoint's arrays."""
  import orbax.checkpoint as ocp

  with ocp.CheckpointManager(workdir / "checkpoints") as manager:
    return manager.restore(manager.latest_step(), args=ocp.args.StandardRestore())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("whole")
  result = _run(workdir, "--profile=7:9")
  assert result.returncode == 0, result.stderr
  return workdir, result


def test_a_profile_is_written_of_the_steps_that_were_named(uninterrupted):
  workdir, result = uninterrupted
  assert f"profile of steps up to 9 in {workdir}/profile" in result.stdout
  assert list((workdir / "profile").rglob("*.xplane.pb"))


@pytest.mark.parametrize("span", ["3", "a:b", "5:3", "4:4", "-1:2", "14:20"])
def test_a_profile_of_no_steps_is_refused_in_a_line(span, tmp_path):
  experiment = tiny_arithmetic.get_config()
  del experiment.stages["sft"]
  experiment.stages["grpo"].steps = 14
  with pytest.raises(ConfigError, match=f"--profile={span} "):
    loop.run(experiment, str(tmp_path / "run"), profile=span)
  assert not (tmp_path / "run").exists()


def test_a_run_leaves_its_files(uninterrupted):
  workdir, result = uninterrupted
  for name in (
    "config.json",
    "metrics.jsonl",
    "samples.jsonl",
    "learning_curve.png",
    "report.html",
  ):
    assert (workdir / name).stat().st_size > 0, name
  assert list((workdir / "tensorboard").rglob("events*"))
  assert list((workdir / "checkpoints").iterdir())
  record = json.loads((workdir / "config.json").read_text())
  assert record["config"]["stages"]["grpo"]["rollout"]["group_size"] == 4
  assert {"versions", "devices", "git_commit"} <= record.keys()
  assert "held-out accuracy" in result.stdout
  assert "-m experiments.evaluate --workdir=" in result.stdout


def test_every_step_is_written_once(uninterrupted):
  steps = [
    (line["stage"], line["step"]) for line in _metrics(uninterrupted[0]) if "train/lr" in line
  ]
  assert steps == [("sft", i) for i in range(1, 7)] + [("grpo", i) for i in range(1, 9)]


def test_a_run_that_is_over_is_not_run_again(uninterrupted):
  workdir, _ = uninterrupted
  before = _metrics(workdir)
  assert _run(workdir).returncode == 0
  assert _metrics(workdir) == before


@pytest.mark.fault(8)
def test_another_config_on_the_folder_is_refused(uninterrupted):
  result = _run(uninterrupted[0], "--config.seed=7")
  assert result.returncode == 2
  assert "config.seed was 0, now 7" in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1


_SLOW = [pytest.param(place, marks=pytest.mark.slow) for place in (("sft", 3), ("grpo", 1))]


@pytest.mark.fault(2)
@pytest.mark.parametrize("kill_at", [*_SLOW, ("grpo", 6)])
def test_a_killed_run_ends_as_if_it_had_not_been(uninterrupted, tmp_path, kill_at):
  """SIGKILL, then the same command: equal metrics and bitwise equal parameters."""
  import jax
  import numpy as np

  with open(tmp_path / "out", "w") as out:
    process = subprocess.Popen(_command(tmp_path), cwd=_ROOT, stdout=out, stderr=out)
    _wait_for(tmp_path / "metrics.jsonl", kill_at, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
  result = _run(tmp_path)
  assert result.returncode == 0, result.stderr
  assert _metrics(tmp_path) == _metrics(uninterrupted[0])
  jax.tree.map(np.testing.assert_array_equal, _state(tmp_path), _state(uninterrupted[0]))


def _wait_for(path, place, process, seconds=300):
  end = time.monotonic() + seconds
  wanted = f'"stage": "{place[0]}", "step": {place[1]},'
  while time.monotonic() < end:
    if path.exists() and wanted in path.read_text():
      return
    assert process.poll() is None, "the run ended before it could be killed"
    time.sleep(0.01)
  raise AssertionError(f"no {place} within {seconds} s")


@pytest.mark.fault(21)
@pytest.mark.parametrize(
  ("flag", "said"),
  [
    ("--config.stages.grpo.optimizer.lrr=1", "did you mean 'lr'?"),
    ("--config.stages.grpo.rollout.group_size=1", "group_size=1 has nothing to compare with"),
    ("--config.stages.grpo.rollout.max_tokens=64", "context_length is 32"),
    ("--config.evaluation.reward=numbr", "did you mean 'number'?"),
  ],
)
def test_what_cannot_be_run_is_one_line_before_anything_is_written(tmp_path, flag, said):
  result = _run(tmp_path / "new", flag)
  assert result.returncode == 2
  assert said in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1, result.stderr
  assert not (tmp_path / "new").exists()


def test_every_evaluated_step_has_a_checkpoint_so_that_the_best_can_stay(uninterrupted):
  """Steps 3 and 6 of each stage are evaluated, and no multiples of checkpoint.every."""
  workdir, _ = uninterrupted
  import orbax.checkpoint as ocp

  with ocp.CheckpointManager(workdir / "checkpoints") as manager:
    kept = manager.all_steps()
  scores = {}
  for line in _metrics(workdir):
    if "eval/accuracy" in line and line["step"]:
      number = line["step"] + (6 if line["stage"] == "grpo" else 0)
      scores[number] = line["eval/accuracy"]
  assert max(scores.values()) in {scores[number] for number in kept if number in scores}


@pytest.mark.parametrize(
  ("flag", "said"),
  [
    pytest.param(
      *("--config.stages.sft.optimizer.lr=3e38", "not finite 3 times in a row"),
      marks=pytest.mark.slow,
    ),
    ("--config.evaluation.reward={reward}", "could score none of 16 held-out answers"),
  ],
)
def test_a_run_that_can_learn_nothing_ends_with_a_line(tmp_path, flag, said):
  reward = tmp_path / "reward.py"
  reward.write_text("def unknown(prompt, completion, fields):\n  return float('nan')\n")
  result = _run(tmp_path / "run", flag.format(reward=f"{reward}:unknown"))
  assert result.returncode == 2, result.stderr
  assert said in result.stderr
  assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_a_run_is_exported_as_a_model_folder_that_loads(uninterrupted, tmp_path):
  import jax
  import numpy as np

  from grpo_jax import weights

  workdir, _ = uninterrupted
  module = [sys.executable, "-m", "experiments.export"]
  command = [*module, f"--workdir={workdir}", f"--out={tmp_path / 'model'}"]
  result = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert result.returncode == 0, result.stderr
  assert "checkpoint 14" in result.stdout
  loaded, state = weights.load(str(tmp_path / "model")), _state(workdir)
  jax.tree.map(np.testing.assert_array_equal, loaded.params, state["params"])
  again = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
  assert again.returncode == 2
  assert "holds a model already" in again.stderr


@pytest.mark.slow
def test_pmap_over_devices_gives_the_same_run(uninterrupted, tmp_path):
  """The same prompts, keys and updates, on four devices."""
  result = _run(tmp_path, "--config.parallel.mode=pmap")
  assert result.returncode == 0, result.stderr
  _assert_near(_metrics(uninterrupted[0]), _metrics(tmp_path))


@pytest.mark.slow
@pytest.mark.fault(2, 30)
def test_a_run_killed_on_a_mesh_goes_on_as_the_same_run_on_other_devices(uninterrupted, tmp_path):
  """From fsdp 2 x tensor 2, whose checkpoint is in parts, to a copy on each of four."""
  mesh = ("mode=mesh", "fsdp=2", "tensor=2")
  with open(tmp_path / "out", "w") as out:
    command = _command(tmp_path, *(f"--config.parallel.{axis}" for axis in mesh))
    process = subprocess.Popen(command, cwd=_ROOT, stdout=out, stderr=out)
    _wait_for(tmp_path / "metrics.jsonl", ("grpo", 4), process)
    process.send_signal(signal.SIGKILL)
    process.wait()
  result = _run(tmp_path, "--config.parallel.mode=pmap")
  assert result.returncode == 0, result.stderr
  assert "resuming grpo after step" in result.stdout
  _assert_near(_metrics(uninterrupted[0]), _metrics(tmp_path))


def test_the_split_of_every_parameter_is_printed():
  result = _run("unused", "--print_sharding", "--config.parallel.mode=mesh")
  assert result.returncode == 0, result.stderr
  assert re.search(r"layers\.query +\d+x\d+x\d+x\d+ +-, fsdp, tensor, - ", result.stdout)


def _assert_near(single, split):
  assert len(single) == len(split)
  for left, right in zip(single, split, strict=True):
    assert right.pop("stage") == left.pop("stage")
    left, right = ({k: math.nan if v is None else v for k, v in x.items()} for x in (left, right))
    assert right == pytest.approx(left, rel=2e-2, abs=2e-3, nan_ok=True), left["step"]


def test_whatever_is_wrong_with_the_page_is_one_warning(monkeypatch, tmp_path):
  def broken(*_, **__):
    raise RuntimeError("no such\nfigure")

  monkeypatch.setattr(loop, "run_report", broken)
  said = []
  assert loop._page(str(tmp_path), said.append, draw=False) is None
  assert said == []
  assert loop._page(str(tmp_path), said.append, draw=True) is None
  assert said == ["warning: report.html is not written: RuntimeError: no such figure"]
