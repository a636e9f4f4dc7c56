"""A run of Weights & Biases."""

import uuid
from collections.abc import Mapping

from grpo_jax.run.trackers.tracker import About

_STEP = "global_step"


class Run:
  """A `tracker.Tracker`; WANDB_MODE=offline keeps it in WORKDIR/wandb, for `wandb sync`."""

  def __init__(self, about: About, known: str):
    import wandb

    self.known = known or uuid.uuid4().hex
    self._run = wandb.init(
      project=about.project,
      name=about.name,
      group=about.group or None,
      dir=about.folder,
      config=dict(about.config),
      id=self.known,
      resume="allow",
      reinit="create_new",  # members of a population are runs of one process
      settings=wandb.Settings(console="off", quiet=True),  # the terminal is the run's own
    )
    # Its own count of steps refuses what comes twice, as an evaluation after a step.
    self._run.define_metric(_STEP)
    self._run.define_metric("*", step_metric=_STEP)

  def write(self, step: int, figures: Mapping[str, float]) -> None:
    self._run.log({_STEP: step, **figures})

  def close(self, *, whole: bool) -> None:
    self._run.finish(exit_code=0 if whole else 1)
