"""A run of Trackio, which keeps it in a file of this machine."""

import uuid
from collections.abc import Mapping

from grpo_jax.run.trackers.tracker import About


class Run:
  """A `tracker.Tracker`; its name has a number, for Trackio finds runs by their names."""

  def __init__(self, about: About, known: str):
    import trackio

    self.known = known or f"{about.name}-{uuid.uuid4().hex[:8]}"
    self._run = trackio.init(
      project=about.project,
      name=self.known,
      group=about.group or None,
      config=dict(about.config),
      resume="allow",
    )

  def write(self, step: int, figures: Mapping[str, float]) -> None:
    self._run.log(dict(figures), step=step)

  def close(self, *, whole: bool) -> None:
    self._run.finish()
