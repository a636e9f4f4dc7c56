"""Runs and evaluations for a notebook or a script: what the commands do, as functions."""

import copy
import os
from collections.abc import Callable, Sequence
from typing import Any

from grpo_jax.config import Experiment
from grpo_jax.report.lines import every
from grpo_jax.run.assessment import Asked, evaluate
from grpo_jax.run.loop import run


def run_experiment(
  experiment: Experiment,
  workdir: str | os.PathLike[str],
  *,
  say: Callable[[str], None] = print,
  stages: Sequence[str] = (),
) -> list[dict[str, Any]]:
  """Runs what is left of an experiment; the same call on the same folder resumes it.

  Args:
    experiment: stays as it is.
    workdir: the run folder; made if it is not there.
    say: takes the lines meant for a person; `lambda line: None` is silence.
    stages: names of those to run; empty for all.

  Returns:
    The lines of metrics.jsonl: stage, step and figures such as reward/mean and eval/accuracy; one
    that was not finite is None.

  Raises:
    ConfigError: one line on what cannot be run. RuntimeError, StopError: as of `run.loop.run`.
  """
  run(copy.deepcopy(experiment), os.fspath(workdir), say=say, stages=stages)
  return list(every(os.path.join(workdir, "metrics.jsonl")))


def evaluate_run(
  workdir: str | os.PathLike[str],
  *,
  say: Callable[[str], None] = print,
  out: str = "",
  **asked: Any,
) -> dict[str, Any]:
  """Evaluates a checkpoint of a run.

  Args:
    workdir: the run folder. say: is told how far it is.
    out: the file; empty is WORKDIR/evaluation-CHECKPOINT.json.
    asked: fields of `run.assessment.Asked`, as checkpoint="best", samples=16.

  Returns:
    What stands in the file: figures["pass@4"]["value"] and so on; see BUILD.md, "Evaluating".

  Raises:
    ConfigError: one line on what cannot be evaluated.
  """
  return evaluate(None, os.fspath(workdir), Asked(**asked), say, out)
