"""The script for Slurm, and a submission to a cluster that is not there."""

import shlex

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.sweep.slurm import parse_parameters, submit, worker_command
from tests.sweep.helpers import FILE, options

_ASKED = "partition=gpu,gpus_per_node=1,time=240"


def test_a_dry_run_writes_the_script(tmp_path):
  lines: list[str] = []
  assert submit(options(tmp_path, jobs=3), _ASKED, True, lines.append) == 0
  script = (tmp_path / "slurm" / "sweep.sbatch").read_text()
  assert lines[0] == script
  for line in ("--array=0-2%3", "--partition=gpu", "--gpus-per-node=1", "--time=240"):
    assert f"#SBATCH {line}\n" in script
  last = next(line for line in script.splitlines() if line.startswith("srun"))
  assert shlex.split(last)[-len(worker_command(options(tmp_path))) :] == worker_command(
    options(tmp_path)
  )


def test_a_worker_shares_the_study_and_the_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  asked = options(
    "runs", overrides=("--config.seed=3",), trials=7, population=4, tracker=("wandb", "mlflow")
  )
  command = worker_command(asked)
  assert f"--config={FILE}" in command
  assert "--config.seed=3" in command
  assert "--trials=7" in command
  assert "--population=4" in command
  assert "--tracker=wandb,mlflow" in command
  assert "--tracker_project=grpo_jax" in command
  assert f"--storage={tmp_path}/runs/study.journal" in command
  assert f"--workdir={tmp_path}/runs" in command


def test_a_job_is_submitted(tmp_path, monkeypatch):
  for name, text in {"srun": "", "sbatch": "echo Submitted batch job 42; cp $1 $0.script"}.items():
    (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
    (tmp_path / name).chmod(0o755)
  monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
  lines: list[str] = []
  assert submit(options(tmp_path / "runs", jobs=2), _ASKED, False, lines.append) == 0
  assert lines[0].startswith("job 42: 2 workers")
  assert "--array=0-1%2" in (tmp_path / "sbatch.script").read_text()


def test_without_slurm_it_is_one_line(tmp_path, monkeypatch):
  monkeypatch.setenv("PATH", str(tmp_path))
  with pytest.raises(ConfigError, match="srun is not at hand"):
    submit(options(tmp_path), "", False, print)


@pytest.mark.parametrize(
  ("text", "word"),
  [
    ("partiton=gpu", "did you mean 'partition'?"),
    ("gpu", "not NAME=VALUE"),
    ("zzz=1", "known are"),
    ("time=4h", "not minutes, H:MM:SS or D-HH:MM:SS"),
  ],
)
def test_a_wrong_option_is_one_line(text, word):
  with pytest.raises(ConfigError) as error:
    parse_parameters(text, {"partition", "time"})
  assert word in str(error.value)


@pytest.mark.parametrize(("text", "time"), [("240", 240), ("4:00:00", "4:00:00"), ("1-12", "1-12")])
def test_a_time_is_as_sbatch_reads_it(text, time):
  assert parse_parameters(f"time={text}", {"time"}) == {"time": time}
