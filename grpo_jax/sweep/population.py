"""Trials as members of one population: one child process, whose members are the trials' seeds."""

import dataclasses
import hashlib
import json
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any

from grpo_jax.config import ConfigError, check
from grpo_jax.config.population import can_vary, is_switch
from grpo_jax.sweep.child import Child
from grpo_jax.sweep.command import train_command
from grpo_jax.sweep.evaluation import Asked, Ended, Event, Report, Scored
from grpo_jax.sweep.follow import Follower, figure, last
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.point import place
from grpo_jax.sweep.reason import exit_reason, figure_reason
from grpo_jax.sweep.slots import Slot
from grpo_jax.sweep.trial import ASKED_TO_END, GRACE_S, HOUR_S, TrialRun, starts_of

_END = "END"  # as run.population has it


@dataclasses.dataclass
class _Member:
  """A trial's run of one seed. folder: its own, in that of the population."""

  asked: Asked
  seed: int
  folder: str = ""

  @property
  def metrics(self) -> str:
    return os.path.join(self.folder, "metrics.jsonl")


class PopulationRun:
  """An `Evaluation` of several trials.

  Those that differ in other fields than a population can vary are populations of their own, one
  after another. The folder of a population is named by what its members are: the same ones go on
  where they were, others begin anew.
  """

  def __init__(self, options: Options, asked: Sequence[Asked], slot: Slot):
    self._options, self._slot = options, slot
    self._told: list[Event] = []
    self._groups: list[list[Asked]] = []
    groups: dict[str, list[Asked]] = {}
    for one in asked:
      os.makedirs(one.folder, exist_ok=True)
      try:
        check(place(options.experiment, one.values))
      except ConfigError as error:  # the process would say the same, for all of them
        self._told.append(Ended(one.number, reason=str(error)))
        continue
      # What differs in the program, and what is compiled in or not by whether it is 0.
      fixed = {
        path: value if not can_vary(path) else value == 0
        for path, value in one.values.items()
        if not can_vary(path) or is_switch(path)
      }
      groups.setdefault(json.dumps(fixed, sort_keys=True), []).append(one)
    self._groups = list(groups.values())
    self._now: _Group | TrialRun | None = None
    self._next()

  def poll(self) -> list[Event]:
    told, self._told = self._told, []
    if self._now is None:
      return told
    found = self._now.poll()
    if any(isinstance(event, Ended) for event in found):
      self._next()
    return told + found

  def prune(self, number: int) -> None:
    if self._now is not None:
      self._now.prune(number)

  def stop(self, at_once: bool = False) -> bool:
    self._groups = []
    return self._now is None or self._now.stop(at_once)

  def _next(self) -> None:
    """Starts the next population; one run alone is a trial like others."""
    self._now = None
    if self._groups:
      group = self._groups.pop(0)
      alone = len(group) * self._options.seeds == 1
      make = TrialRun if alone else _Group
      self._now = make(self._options, group[0] if alone else group, self._slot)  # type: ignore[arg-type]


class _Group:
  """One population, which ends for all of its trials at one time."""

  def __init__(self, options: Options, asked: list[Asked], slot: Slot):
    self._options, self._began, self._noticed = options, time.monotonic(), 0.0
    self._members = [
      _Member(one, seed)
      for one in asked
      for first in [int(one.values.get("seed", options.experiment.seed))]
      for seed in range(first, first + options.seeds)
    ]
    command, self._folder = self._command()
    for index, member in enumerate(self._members):
      member.folder = os.path.join(self._folder, f"member-{index:03d}")
      link = os.path.join(member.asked.folder, f"seed-{member.seed}")
      if os.path.islink(link):
        os.remove(link)
      elif os.path.isdir(link):  # of a run by itself, before
        os.rename(link, f"{link}-alone-{os.path.basename(self._folder)}")
      os.symlink(os.path.relpath(member.folder, member.asked.folder), link)
    self._followers = {
      member.asked.number: Follower(member.metrics)
      for member in reversed(self._members)  # the first seed's stays
    }
    # A trial that was to be pruned before a restart still is.
    self._pruned = {
      member.asked.number
      for member in self._members
      if os.path.exists(os.path.join(member.folder, _END))
    }
    self._late = False
    results = os.path.join(self._folder, "population.json")
    if os.path.exists(results):  # of a run before this one
      os.remove(results)
    self._child = Child(command, os.path.join(self._folder, "log.txt"), slot)

  def _command(self) -> tuple[list[str], str]:
    """The training command, and the population's folder."""
    fields = sorted({path for m in self._members for path in m.asked.values} - {"seed"})
    first = self._members[0].asked.values
    varied = [path for path in fields if can_vary(path)]
    vary = [
      f"{p}=" + ",".join(repr(float(m.asked.values[p])) for m in self._members) for p in varied
    ]
    vary.append("seed=" + ",".join(str(member.seed) for member in self._members))
    fixed = {path: first[path] for path in fields if path not in varied}
    name = hashlib.sha256(json.dumps([vary, fixed], sort_keys=True).encode()).hexdigest()[:12]
    folder = os.path.join(os.path.abspath(self._options.workdir), "populations", name)
    os.makedirs(folder, exist_ok=True)
    command = train_command(self._options, fixed, self._options.experiment.seed, folder)
    return [*command, f"--vary={'; '.join(vary)}"], folder

  def poll(self) -> list[Event]:
    code = self._child.poll()
    if code is not None and self._in_grace(code):
      return []
    events: list[Event] = []
    for number, follower in self._followers.items():
      events += self._reports(number, follower)
    if code is not None:
      return events + self._ended(code)
    hours = self._options.trial_hours
    if hours and not self._late and time.monotonic() - self._began > hours * HOUR_S:
      self._late = True
      self._child.end()
    return events

  def prune(self, number: int) -> None:
    """Ends the trial's members, after the step that they are at."""
    self._pruned.add(number)
    for member in self._members:
      if member.asked.number == number and os.path.isdir(member.folder):
        with open(os.path.join(member.folder, _END), "w"):
          pass

  def stop(self, at_once: bool = False) -> bool:
    if self._child.poll() is not None:
      return True
    self._child.end(at_once)
    return False

  def _in_grace(self, code: int) -> bool:
    """Whether the sweep may be about to be told what its child was: to end."""
    self._noticed = self._noticed or time.monotonic()
    waiting = time.monotonic() - self._noticed < GRACE_S
    return code in ASKED_TO_END and not self._child.ended and waiting

  def _reports(self, number: int, follower: Follower) -> list[Report]:
    values = next(m.asked.values for m in self._members if m.asked.number == number)
    starts, found = starts_of(self._options.experiment, values), []
    for line in follower.new():
      value = figure(line, self._options.objective)
      if value is not None and line.get("stage") in starts:
        found.append(Report(number, starts[line["stage"]] + line["step"], value))
    return found

  def _ended(self, code: int) -> list[Event]:
    """The verdicts: of each trial by its own members."""
    results = _results(os.path.join(self._folder, "population.json"))
    events: list[Event] = []
    for number in dict.fromkeys(m.asked.number for m in self._members):
      own = [(i, m) for i, m in enumerate(self._members) if m.asked.number == number]
      events += self._verdict(number, own, code, results)
    return events

  def _verdict(
    self, number: int, own: list[tuple[int, _Member]], code: int, results: dict[int, str]
  ) -> list[Event]:
    if number in self._pruned:
      return [Ended(number, pruned=True)]
    if self._late:
      hours = self._options.trial_hours
      return [Ended(number, reason=f"its population took longer than --trial_hours={hours:g}")]
    scores: dict[int, float] = {}
    for index, member in own:
      value, names = last(member.metrics, self._options.objective)
      reason = results.get(index, "")
      if code and not results:
        reason = exit_reason(code, self._child.log, self._child.start)
      elif not reason and value is None:
        reason = figure_reason(self._options.objective, names)
      elif not reason and value - value != 0:  # type: ignore[operator]  # NaN or infinite
        reason = f"{self._options.objective} is {value} at the end"
      if reason or value is None:
        return [Ended(number, reason=f"seed {member.seed}: {reason}")]
      scores[member.seed] = value
    scored: list[Event] = [Scored(number, seed, value) for seed, value in scores.items()]
    return [*scored, Ended(number, value=statistics.fmean(scores.values()))]


def _results(path: str) -> dict[int, str]:
  """Why members have failed, by their numbers; empty where the population has not ended."""
  if not os.path.exists(path):
    return {}
  with open(path, encoding="utf-8") as file:
    found: list[dict[str, Any]] = json.load(file)
  return {line["member"]: line["reason"] for line in found}
