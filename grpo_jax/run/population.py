"""A population: every member a whole run in a folder of its own, all of them in one program."""

import contextlib
import dataclasses
import math
import os
import shlex
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import jax

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.parallel import Meeting, Member, make_devices, processes
from grpo_jax.parallel.meeting import StoppedError
from grpo_jax.run import stopping
from grpo_jax.run.console import python
from grpo_jax.run.loop import Shared, run
from grpo_jax.run.members import Result, make_members, table, varied_fields, write_results
from grpo_jax.run.policy import Policy, load_policy
from grpo_jax.run.record import claim
from grpo_jax.run.stopping import Asked, StopError
from grpo_jax.run.trackers import UNTRACKED, Tracking, check_trackers
from grpo_jax.run.view import Plain, View
from grpo_jax.run.voice import Voice

# A file of this name in a member's folder ends it after its step: a sweep prunes so.
END = "END"
_STOPPED = "stopped"


def run_population(
  experiment: Experiment,
  workdir: str,
  *,
  say: Callable[[str], None] = print,
  view: View | None = None,
  stages: Sequence[str] = (),
  tracking: Tracking = UNTRACKED,
) -> list[Result]:
  """Runs what is left of all members of `experiment.population`; the same call resumes them.

  Each has its folder WORKDIR/member-000 and so on, which is that of a run of its own config: it can
  be resumed, evaluated and exported alone. What is said is of the first member that goes on; each
  one's own lines are in its log.txt. A member that fails ends alone.

  Args: as of `run.loop.run`.

  Raises:
    ConfigError: one line on what cannot be run, before anything is compiled.
    RuntimeError: all members have failed.
    StopError: a signal has asked it to stop; the state of every member is saved.
  """
  own = make_members(experiment)
  if experiment.parallel.mode == "pmap" or processes.count() > 1:
    raise ConfigError(
      f"config.population.size={len(own)} is of parallel.mode='single' or 'mesh' and one process"
    )
  workdir, view = os.path.abspath(workdir), view or Plain(say)
  tracking = dataclasses.replace(tracking, group=tracking.group or os.path.basename(workdir))
  check_trackers(tracking)
  with claim(workdir, experiment), stopping.watching() as asked:
    policy = load_policy(experiment) if experiment.model.weights else None
    voice = Voice(view, len(own))
    crews = [
      _Crew(
        *(own, numbers, workdir, voice, stages, tracking, policy),
        meeting=_meeting(experiment, device, numbers),
        asked=asked,
      )
      for device, numbers in _shares(experiment)
    ]
    _run_all(crews)
    stopping.check(asked)
  results = [crew.results[number] for crew in crews for number in crew.numbers]
  write_results(workdir, own, results)
  for line in table(experiment.population, own, results):
    view.closing(line)
  view.closing(f"next              {python()} -m experiments.report {shlex.quote(workdir)}")
  if all(result.reason for result in results):
    raise RuntimeError(f"all {len(own)} members have failed, the first: {results[0].reason}")
  return results


def _shares(experiment: Experiment) -> list[tuple[Any, range]]:
  """The devices of this machine, and the members that each has: as many on each.

  Weights that adapters share are kept once: the cores of a CPU are one device then.
  """
  if experiment.parallel.mode == "mesh":
    if experiment.population.devices:
      raise ConfigError("config.population.devices: in a mesh every member is on all of them")
    return [(None, range(experiment.population.size))]
  shared = experiment.model.weights and any(s.lora.rank for s in experiment.stages.values())
  population, devices = experiment.population, jax.local_devices()
  size, count = population.size, population.devices
  if count > len(devices):
    raise ConfigError(f"config.population.devices={count}: there are {len(devices)}")
  if not count:
    most = 1 if shared and devices[0].platform == "cpu" else len(devices)
    count = max(n for n in range(1, most + 1) if size % n == 0)
  each = size // count
  return [(device, range(n * each, (n + 1) * each)) for n, device in enumerate(devices[:count])]


def _meeting(experiment: Experiment, device: Any, numbers: range) -> Meeting:
  population = experiment.population
  # The caches of a CPU hold one member's arrays, and a core is busy with one.
  usual = 1 if jax.default_backend() == "cpu" else len(numbers)
  together = math.gcd(population.together or usual, len(numbers))
  base = make_devices(experiment.parallel)
  assert not isinstance(base, Member)
  return Meeting(len(numbers), varied_fields(population), together, device, base)


def _run_all(crews: Sequence["_Crew"]) -> None:
  """Until all members have ended; an interrupt ends them."""
  threads = [thread for crew in crews for thread in crew.threads()]
  for thread in threads:
    thread.start()
  try:
    for thread in threads:
      thread.join()
  except BaseException:
    for crew in crews:
      crew.meeting.stop()
    for thread in threads:
      thread.join()
    raise
  for crew in crews:
    if crew.error is not None:
      raise crew.error


class _Crew:
  """The members of one device, each in its thread, and the thread of their meeting."""

  def __init__(
    self,
    own: Sequence[Experiment],
    numbers: range,
    workdir: str,
    voice: Voice,
    stages: Sequence[str],
    tracking: Tracking,
    policy: Policy | None,
    meeting: Meeting,
    asked: Asked,
  ):
    self.numbers, self.meeting = numbers, meeting
    self.error: BaseException | None = None
    self.results = {number: Result() for number in numbers}
    self._own, self._workdir, self._voice = own, workdir, voice
    self._stages, self._tracking, self._policy, self._asked = stages, tracking, policy, asked

  def threads(self) -> list[threading.Thread]:
    """Not yet started."""
    lives = [threading.Thread(target=self._live, args=(number,)) for number in self.numbers]
    return [threading.Thread(target=self._serve), *lives]

  def _serve(self) -> None:
    try:
      self.meeting.serve()
    except BaseException as error:
      self.error = error

  def _live(self, number: int) -> None:
    """A member's whole life."""
    result, folder = self.results[number], os.path.join(self._workdir, f"member-{number:03d}")
    index = number - self.numbers.start
    with contextlib.ExitStack() as stack:
      stack.callback(lambda: self._voice.over(number, _told(result.reason)))
      stack.callback(self.meeting.leave, index)
      try:
        stack.enter_context(jax.default_device(self.meeting.device))
        os.makedirs(folder, exist_ok=True)
        log = stack.enter_context(open(os.path.join(folder, "log.txt"), "a", encoding="utf-8"))
        result.figures = self._run(number, folder, log)
      except (StoppedError, StopError):
        result.reason = _STOPPED
      except Exception as error:
        result.reason = " ".join(str(error).split()) or type(error).__name__

  def _run(self, number: int, folder: str, log: TextIO) -> dict[str, float]:
    """A member's run; what it raises is in its log too."""
    index = number - self.numbers.start

    def put(line: str) -> None:
      print(line, file=log, flush=True)
      if os.path.exists(os.path.join(folder, END)):
        raise RuntimeError("told to end")

    shared = Shared(Member(self.meeting, index), self._policy, self._asked)
    view = self._voice.member(number, put)
    own: dict[str, Any] = {"view": view, "stages": self._stages, "shared": shared}
    try:
      return run(self._own[number], folder, tracking=self._tracking, **own)
    except Exception:
      traceback.print_exc(file=log)
      raise


def _told(reason: str) -> str:
  """A reason that is said as the member ends: one that was stopped is as all others are."""
  return "" if reason == _STOPPED else reason
