"""A drill: a fault that a run does to itself at a named place, to see that nothing is lost."""

import dataclasses
import os
import re
import signal
import threading
from collections.abc import Callable

import numpy as np

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.types import Batch

# Called with the name of a place as the run gets there.
Pause = Callable[[str], None]
PLACES = ("rollout", "reward", "update", "evaluation", "save")
_SIGNALS = {"sigterm": signal.SIGTERM, "sigint": signal.SIGINT, "sigkill": signal.SIGKILL}
# What an update's advantages are multiplied with.
_SPOILERS = {"nan": np.nan, "spike": 1000.0}
_FORM = re.compile(r"(\w+):(\w+)@(\d+)(?:\+(\d+(?:\.\d+)?))?")


@dataclasses.dataclass(frozen=True)
class Drill:
  """fault: a name. place, time: where, and at which time that the run gets there, from 1.

  delay: seconds from then.
  """

  fault: str
  place: str
  time: int
  delay: float


def parse(fault: str) -> Drill:
  """Reads FAULT:PLACE@N, or SIGNAL:PLACE@N+SECONDS.

  Raises:
    ConfigError: it is none.
  """
  found = _FORM.fullmatch(fault)
  known = found and found[2] in PLACES and int(found[3])
  at_update = found and found[1] in _SPOILERS and found[2] == "update" and not found[4]
  if not (found and known and (found[1] in _SIGNALS or at_update)):
    raise ConfigError(
      f"--inject_fault={fault}: expected SIGNAL:PLACE@N or SIGNAL:PLACE@N+SECONDS, as in"
      f" sigkill:reward@3, with a signal of {', '.join(_SIGNALS)}, a place of {', '.join(PLACES)},"
      " and N from 1; or nan:update@N, spike:update@N"
    )
  return Drill(found[1], found[2], int(found[3]), float(found[4] or 0))


def check_drill(fault: str, experiment: Experiment) -> None:
  """Refuses a fault that the experiment would never get to.

  Raises:
    ConfigError: as `parse`, or no stage has what it spoils.
  """
  if parse(fault).fault in _SPOILERS and not any(
    isinstance(stage, GRPO) and stage.steps_per_program == 1 for stage in experiment.stages.values()
  ):
    raise ConfigError(
      f"--inject_fault={fault}: spoils advantages, and no stage has any on the host: a stage of"
      " GRPO or PPO with steps_per_program=1"
    )


def with_drill(fault: str, pause: Pause) -> Pause:
  """`pause`, which a drill that sends a signal comes before; an empty one is none."""
  if not fault or parse(fault).fault in _SPOILERS:
    return pause
  drill, times = parse(fault), [0]

  def at(place: str) -> None:
    times[0] += place == drill.place
    if place == drill.place and times[0] == drill.time:
      number = _SIGNALS[drill.fault]
      if drill.delay:
        threading.Timer(drill.delay, os.kill, (os.getpid(), number)).start()
      else:
        os.kill(os.getpid(), number)
    pause(place)

  return at


def unspoilt(batch: Batch) -> Batch:
  """Of a run without a drill."""
  return batch


def spoiler(fault: str) -> Callable[[Batch], Batch]:
  """Batch -> batch, the N-th of which a drill spoils, in its first prompt."""
  if not fault or parse(fault).fault not in _SPOILERS:
    return unspoilt
  drill, times = parse(fault), [0]

  def spoil(batch: Batch) -> Batch:
    times[0] += 1
    if times[0] != drill.time:
      return batch
    advantages = np.array(batch.advantages)
    advantages[0] *= _SPOILERS[drill.fault]
    return batch.replace(advantages=advantages)  # type: ignore[attr-defined]

  return spoil
