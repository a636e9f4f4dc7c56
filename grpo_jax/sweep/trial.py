"""A trial as child processes: one run of the training command a seed, followed to its end."""

import os
import statistics
import time
from collections.abc import Mapping
from typing import Any

from grpo_jax.config import ConfigError, Experiment, check
from grpo_jax.sweep.child import Child
from grpo_jax.sweep.command import train_command
from grpo_jax.sweep.evaluation import Asked, Ended, Event, Report, Scored
from grpo_jax.sweep.follow import Follower, figure, last
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.point import place
from grpo_jax.sweep.reason import exit_reason, figure_reason
from grpo_jax.sweep.slots import Slot

# Exit codes of a process that was asked to end. Where the sweep is asked too, it is told a little
# later: the trial has not failed then.
ASKED_TO_END = {-1, -2, -10, -12, -15, 130, 143}
GRACE_S = 2.0
HOUR_S = 3600


def commands(options: Options, asked: Asked) -> dict[int, list[str]]:
  """The command of each seed: config.seed, or the trial's, and those after it."""
  first = asked.values.get("seed", options.experiment.seed)
  return {
    seed: train_command(options, asked.values, seed, os.path.join(asked.folder, f"seed-{seed}"))
    for seed in range(first, first + options.seeds)
  }


def starts_of(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, int]:
  """The steps of all stages before each one."""
  starts, so_far = {}, 0
  for name, stage in experiment.stages.items():
    starts[name] = so_far
    so_far += values.get(f"stages.{name}.steps", stage.steps)
  return starts


class TrialRun:
  """An `Evaluation` of one trial, seed after seed.

  A run folder that is there already is resumed by the training command itself.
  """

  def __init__(self, options: Options, asked: Asked, slot: Slot):
    self._options, self._asked, self._slot = options, asked, slot
    self._scores = dict(asked.scores)
    self._commands = commands(options, asked)
    self._left = [seed for seed in self._commands if seed not in self._scores]
    self._seed, self._child = -1, None  # type: int, Child | None
    self._verdict: Ended | None = None
    self._over = False
    self._began, self._noticed = time.monotonic(), 0.0
    os.makedirs(asked.folder, exist_ok=True)
    try:
      check(place(options.experiment, asked.values))
      self._next()
    except ConfigError as error:  # the process would say the same, a little later
      self._verdict = Ended(asked.number, reason=str(error))

  def poll(self) -> list[Event]:
    if self._over:
      return []
    events: list[Event] = list(self._reports())
    if self._child is None:
      return [*events, self._end()]
    code = self._child.poll()
    if code is None:
      self._check_time()
    elif not self._in_grace(code):
      events += self._reports()  # written since
      events += self._finished(code)
    return events

  def prune(self, number: int) -> None:
    self._cut(Ended(number, pruned=True))

  def stop(self, at_once: bool = False) -> bool:
    if self._over or self._child is None or self._child.poll() is not None:
      return True
    self._child.end(at_once)
    return False

  def _next(self) -> None:
    """Starts the next seed, where there is one."""
    if not self._left:
      self._child = None
      return
    self._seed = self._left.pop(0)
    folder = self._asked.folder
    self._metrics = os.path.join(folder, f"seed-{self._seed}", "metrics.jsonl")
    self._follower = Follower(self._metrics)
    log = os.path.join(folder, "log.txt")
    self._child = Child(self._commands[self._seed], log, self._slot)

  def _reports(self) -> list[Report]:
    """The newest scores of the first seed, by which trials are pruned."""
    if self._child is None or self._seed != min(self._commands):
      return []
    starts, found = starts_of(self._options.experiment, self._asked.values), []
    for line in self._follower.new():
      value = figure(line, self._options.objective)
      if value is not None and line.get("stage") in starts:
        found.append(Report(self._asked.number, starts[line["stage"]] + line["step"], value))
    return found

  def _check_time(self) -> None:
    hours = self._options.trial_hours
    if hours and time.monotonic() - self._began > hours * HOUR_S:
      self._cut(Ended(self._asked.number, reason=f"took longer than --trial_hours={hours:g}"))

  def _cut(self, verdict: Ended) -> None:
    if self._verdict is None and self._child is not None:
      self._verdict = verdict
      self._child.end()

  def _in_grace(self, code: int) -> bool:
    assert self._child is not None
    if code not in ASKED_TO_END or self._child.ended:
      return False
    self._noticed = self._noticed or time.monotonic()
    return time.monotonic() - self._noticed < GRACE_S

  def _finished(self, code: int) -> list[Event]:
    """The seed's score, and the verdict where it is the last or has failed."""
    assert self._child is not None
    if self._verdict is not None:
      return [self._end()]
    value, names = last(self._metrics, self._options.objective)
    reason = ""
    if code:
      reason = exit_reason(code, self._child.log, self._child.start)
    elif value is None:
      reason = figure_reason(self._options.objective, names)
    elif value - value != 0:  # NaN or infinite
      reason = f"{self._options.objective} is {value} at the end"
    if reason or value is None:
      prefix = f"seed {self._seed}: " if self._options.seeds > 1 else ""
      self._verdict = Ended(self._asked.number, reason=prefix + reason)
      return [self._end()]
    self._scores[self._seed] = value
    scored = Scored(self._asked.number, self._seed, value)
    self._next()
    return [scored, self._end()] if self._child is None else [scored]

  def _end(self) -> Ended:
    self._over = True
    mean = statistics.fmean(self._scores.values()) if self._scores else None
    return self._verdict or Ended(self._asked.number, value=mean)
