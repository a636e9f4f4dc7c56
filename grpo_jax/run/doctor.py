"""The illnesses of a run that is over, or goes on elsewhere."""

import os

from grpo_jax.config import ConfigError
from grpo_jax.report.lines import every
from grpo_jax.run.health import diagnose


def examine(workdir: str) -> list[str]:
  """One line for each illness, or one that says that there is none; members of a population too.

  Raises:
    ConfigError: it is no run folder.
  """
  path = os.path.join(workdir, "metrics.jsonl")
  if os.path.isfile(path):
    found = [
      f"{workdir}: {stage} step {step}: {said}" for stage, step, said in diagnose(every(path))
    ]
    return found or [f"{workdir}: nothing that its figures show"]
  names = os.listdir(workdir) if os.path.isdir(workdir) else []
  members = sorted(name for name in names if name.startswith("member-"))
  if not members:
    raise ConfigError(f"{workdir} is no run folder: it has no metrics.jsonl")
  return [line for name in members for line in _member(os.path.join(workdir, name))]


def _member(folder: str) -> list[str]:
  """One that failed before its first step has no figures, and a log."""
  if os.path.isfile(os.path.join(folder, "metrics.jsonl")):
    return examine(folder)
  return [f"{folder}: no figures; log.txt may say why"]
