"""The steps of one stage, from where the run is to where the stage ends."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from grpo_jax.config import Experiment
from grpo_jax.parallel import processes
from grpo_jax.run.bad import Bad
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.follower import AnyWriter
from grpo_jax.run.profile import Profile
from grpo_jax.run.stage import Runner, Setting, Told
from grpo_jax.run.stopping import Asked, StopError
from grpo_jax.run.teller import Teller
from grpo_jax.run.view import View
from grpo_jax.stop import is_best, is_over
from grpo_jax.types import TrainState


@dataclasses.dataclass(frozen=True)
class Desk:
  """What all stages of a run are written to, and told by."""

  checkpoints: Checkpointer
  writer: AnyWriter
  teller: Teller
  view: View
  trace: Profile
  asked: Asked


class Course:
  """A stage under way.

  Args:
    desk, setting, runner: the run's, the stage's, and what takes its steps.
    state: after `step` steps, and saved, or the first.
    save_best: takes a state that is the best so far, for stages with patience.
  """

  def __init__(
    self,
    desk: Desk,
    setting: Setting,
    runner: Runner,
    state: TrainState,
    step: int,
    save_best: Callable[[TrainState], None],
  ):
    self.state, self.step = state, step
    self._desk, self._setting, self._runner = desk, setting, runner
    self._save_best, self._saved, self._first = save_best, step, step
    self._stage, self._started = setting.experiment.stages[setting.name], time.monotonic()
    self._waiting: list[tuple[int, Told]] = []
    self._bad = Bad(setting, desk.checkpoints, desk.view.warning)
    desk.teller.begin(setting.name, step)

  def run(self) -> TrainState:
    """The state at the stage's end.

    Raises:
      StopError: the run is asked to stop; what was done is saved.
    """
    try:
      while not over(self._setting.experiment, self._setting.name, self.step, self._desk.writer):
        self._advance()
        if number := self._asked():
          raise StopError(number)
    except StopError:
      self._leave()
      raise
    finally:
      self._runner.close()
    return self.state

  def evaluate(self) -> float | None:
    """Held-out figures of the state as it is, told; the accuracy, where there is one."""
    setting, stop = self._setting, self._stage.stop
    place = setting.name, self.step, self._runner, self.state, setting.models
    accuracy = self._desk.teller.evaluated(*place)
    if not (self.step and stop.patience):
      return accuracy
    found = watched(setting.experiment, setting.name, self._desk.writer)
    if is_best(stop, found):
      self._save_best(self.state)
    return accuracy

  def _advance(self) -> None:
    """One program's steps; what StopError leaves is the state before them."""
    runner, desk, before = self._runner, self._desk, self._setting.steps_before
    now = self.step + runner.stride
    desk.trace.before(before + self.step, before + now)
    self.state, told = runner.advance(self.state, self.step)
    self._waiting.append((self.step, told))
    self.step = now
    if desk.trace.after(before + now, self.state):
      desk.view.say(f"profile of steps up to {before + now} in {desk.trace.folder}")
    evaluated = due(self._setting.experiment, self._setting.name, now)
    kept = is_kept(self._setting.experiment, self._setting.name, now)
    # Programs of many steps are read while the next one runs.
    self._tell(0 if kept or runner.stride == 1 else 1)
    accuracy = self.evaluate() if evaluated else None
    if kept:
      self._save(accuracy)

  def _tell(self, most: int) -> None:
    """Tells of the steps that were taken, until at most so many programs wait."""
    while len(self._waiting) > most:
      spent = (time.monotonic() - self._started) / (self.step - self._first)
      name, (done, told) = self._setting.name, self._waiting.pop(0)
      outcomes = told()
      self._desk.teller.tell(name, self._stage.steps, done, outcomes, spent)
      self._bad.see(done, outcomes, self.state, self.step)

  def _save(self, accuracy: float | None) -> None:
    changing = dataclasses.replace(self.state, frozen=None)
    number = self._setting.steps_before + self.step
    self._desk.checkpoints.save(number, self._setting.devices.first(changing), accuracy)
    self._saved = self.step
    self._setting.pause("save")

  def _asked(self) -> int:
    """The signal that came, 0 for none; of several processes, to any of them."""
    number = self._desk.asked()
    return int(processes.gather(np.array([number])).max()) if processes.count() > 1 else number

  def _leave(self) -> None:
    """Saves what was done since the last checkpoint."""
    self._tell(0)
    if self.step == self._saved:
      return
    if self._runner.exact:
      self._save(None)
    else:
      self._desk.view.say(f"{self._setting.name}: steps after {self._saved} will be taken again")


def due(experiment: Experiment, name: str, step: int) -> bool:
  """Whether a state after `step` steps of a stage is to be evaluated."""
  every = experiment.evaluation.every
  return step == experiment.stages[name].steps or (every > 0 and step % every == 0)


def is_kept(experiment: Experiment, name: str, step: int) -> bool:
  """Whether a state after `step` steps of a stage is saved, whatever happens."""
  return due(experiment, name, step) or step % experiment.checkpoint.every == 0


def over(experiment: Experiment, name: str, step: int, writer: AnyWriter) -> bool:
  """Whether a stage ends after `step` steps."""
  stage = experiment.stages[name]
  if step >= stage.steps or not (stage.stop.held or stage.stop.patience):
    return step >= stage.steps
  # Only after an evaluation: a resumed run must end where the first would have.
  if not step or not due(experiment, name, step):
    return False
  return is_over(stage.stop, watched(experiment, name, writer))


def watched(experiment: Experiment, name: str, writer: AnyWriter) -> list[float]:
  """The figure that a stage's stop rule looks at, of each evaluation of its own steps.

  What was not finite is written as null, and is NaN here: an evaluation like others.
  """
  figure = experiment.stages[name].stop.figure
  lines = (line for line in writer.metrics(name) if figure in line and line["step"])
  return [math.nan if line[figure] is None else line[figure] for line in lines]
