"""What a sweep was asked to do."""

import dataclasses
import os
from collections.abc import Sequence

from grpo_jax.config import Experiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
  """All of one worker's command.

  file: the experiment file as given, with the name after its colon. overrides: flags of all trials,
    each --config.FIELD=VALUE. experiment: what both give.
  workdir: the folder of the trials. space: text, "get_space", or empty for the file's own.
  trials: of the whole study, those of earlier and other workers too; 0 for no limit.
  objective: the figure whose last value a run is judged by. direction: maximize or minimize.
  seeds: runs of a trial. sampler, pruner: names of `samplers`. storage: an Optuna URL, or empty for
    a file in workdir. study: its name there.
  hours, trial_hours: time budgets of this worker and of one trial; 0 for none.
  max_failed: failures without any success after which the sweep stops.
  jobs: trials at a time. devices_per_trial: GPUs of each.
  population: trials that are run as one population; 1 runs each by itself.
  tracker, tracker_project: of the runs, as in `run.trackers.Tracking`.
  program: what Python runs to train.
  """

  file: str
  overrides: tuple[str, ...] = ()
  experiment: Experiment
  workdir: str
  space: str = ""
  trials: int = 20
  objective: str = "eval/accuracy"
  direction: str = "maximize"
  seeds: int = 1
  sampler: str = "tpe"
  pruner: str = "none"
  storage: str = ""
  study: str = "sweep"
  hours: float = 0.0
  trial_hours: float = 0.0
  max_failed: int = 5
  jobs: int = 1
  devices_per_trial: int = 1
  population: int = 1
  tracker: Sequence[str] = ()
  tracker_project: str = "grpo_jax"
  program: tuple[str, ...] = ("-m", "experiments.train")

  @property
  def url(self) -> str:
    """Where the study is kept: an Optuna URL, or the path of a journal."""
    return self.storage or os.path.join(self.workdir, "study.journal")

  def folder(self, number: int) -> str:
    """The trial's folder."""
    return os.path.join(self.workdir, "trials", f"{number:04d}")
