"""A trace of some steps of a run, to be looked at in TensorBoard, XProf or Perfetto."""

import os
from typing import Any

import jax

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.parallel import processes


class Profile:
  """Traces the steps from `start` (this many are done) until `stop` are done, over all stages."""

  def __init__(self, span: str, experiment: Experiment, workdir: str):
    """Reads `span`, "START:STOP" or empty for no trace.

    Raises:
      ConfigError: it is no such pair, or the run has no such steps.
    """
    self.folder, self._open = os.path.join(workdir, "profile"), False
    self._start, self._stop = _read(span, experiment) if span else (0, 0)

  def before(self, done: int, after: int) -> None:
    """To be called before steps, with the number of steps that are done, and will be after."""
    # Of several processes the first tells of itself.
    first = processes.index() == 0
    if first and not self._open and done < self._stop and after > self._start:
      jax.profiler.start_trace(self.folder)
      self._open = True

  def after(self, done: int, state: Any) -> bool:
    """To be called after steps, with the state they give; true if the trace was written now."""
    if not self._open or done < self._stop:
      return False
    jax.block_until_ready(state)
    return self.close()

  def close(self) -> bool:
    """Writes what was traced, if there is something; also where the run ends before `stop`."""
    was, self._open = self._open, False
    if was:
      jax.profiler.stop_trace()
    return was


def _read(span: str, experiment: Experiment) -> tuple[int, int]:
  start, colon, stop = span.partition(":")
  if not (colon and start.isdecimal() and stop.isdecimal() and int(start) < int(stop)):
    raise ConfigError(f"--profile={span} must be START:STOP, two numbers of steps, as in 3:5")
  steps = sum(stage.steps for stage in experiment.stages.values())
  if int(start) >= steps:
    raise ConfigError(f"--profile={span} starts past the end: the run has {steps} steps")
  return int(start), int(stop)
