"""A sweep on Slurm: an array of workers, each the same command on its own node, one study."""

import difflib
import os
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.sweep.command import tracking
from grpo_jax.sweep.extra import extra
from grpo_jax.sweep.launch import checked
from grpo_jax.sweep.options import Options

_PASSED_ON = (
  *("space", "trials", "objective", "direction", "seeds", "sampler", "pruner", "study"),
  *("hours", "trial_hours", "max_failed", "population", "devices_per_trial"),
)
# What sbatch reads: it would refuse another only once the job is submitted.
_TIME = re.compile(r"\d+(:\d+){0,2}|\d+-\d+(:\d+){0,2}")


def submit(options: Options, asked: str, dry_run: bool, say: Callable[[str], None]) -> int:
  """Submits `options.jobs` workers that share the study.

  Args:
    options: the study's storage and folder must be seen from every node.
    asked: sbatch's options, as in partition=gpu,gpus_per_node=1,time=240 (minutes).
    dry_run: only writes and prints the script.

  Raises:
    ConfigError: one line: an unknown option, no Slurm, or whatever keeps the sweep from running.
  """
  checked(options)
  folder = os.path.join(os.path.abspath(options.workdir), "slurm")
  os.makedirs(folder, exist_ok=True)
  executor = _executor(folder, dry_run)
  parameters = {"job_name": options.study} | parse_parameters(asked, executor._valid_parameters())
  try:
    executor.update_parameters(**parameters)
  except (ValueError, TypeError, AssertionError) as error:
    raise ConfigError(f"--slurm={asked}: {' '.join(str(error).split())}") from error
  executor.parameters["map_count"] = options.jobs
  command = shlex.join(worker_command(options))
  if dry_run:
    path = os.path.join(folder, "sweep.sbatch")
    text = executor._make_submission_file_text(command, "sweep")
    with open(path, "w", encoding="utf-8") as file:
      file.write(text)
    say(text)
    say(f"nothing was submitted; it is in {path}, for sbatch")
    return 0
  try:
    job = executor._submit_command(command)
  except Exception as error:  # sbatch says why, in its own way
    raise ConfigError(f"sbatch refused: {' '.join(str(error).split())}") from error
  say(f"job {job.job_id}: {options.jobs} workers; what they say is in {folder}")
  return 0


def worker_command(options: Options) -> list[str]:
  """The command of one worker: this sweep on its own machine, with the shared study."""
  url = options.storage or os.path.abspath(options.url)
  return [
    *(sys.executable, "-m", "experiments.sweep", f"--config={options.file}"),
    *options.overrides,
    f"--workdir={os.path.abspath(options.workdir)}",
    f"--storage={url}",
    *(f"--{name}={getattr(options, name)}" for name in _PASSED_ON),
    *tracking(options),
    *("--launcher=local", "--jobs=1"),
  ]


def parse_parameters(text: str, known: set[str]) -> dict[str, Any]:
  """NAME=VALUE,NAME=VALUE as submitit takes them; a whole number is a number.

  Raises:
    ConfigError: one line that names the nearest option.
  """
  found: dict[str, Any] = {}
  for part in filter(None, text.split(",")):
    name, equals, value = (piece.strip() for piece in part.partition("="))
    if not equals:
      raise ConfigError(f"--slurm: {part!r} is not NAME=VALUE, as in partition=gpu,time=240")
    if name not in known:
      near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
      hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
      raise ConfigError(f"--slurm: there is no option {name!r}: {hint}")
    if name == "time" and not _TIME.fullmatch(value):
      raise ConfigError(f"--slurm: time={value!r} is not minutes, H:MM:SS or D-HH:MM:SS")
    found[name] = int(value) if value.isdigit() else value
  return found


def _executor(folder: str, dry_run: bool) -> Any:
  with extra("submitit"):
    from submitit import SlurmExecutor

  class Dry(SlurmExecutor):
    @classmethod
    def affinity(cls) -> int:
      return 1

  try:
    return (Dry if dry_run else SlurmExecutor)(folder)
  except RuntimeError as error:
    raise ConfigError(
      "--launcher=slurm: srun is not at hand: run it where Slurm is, or add --dry_run"
    ) from error
