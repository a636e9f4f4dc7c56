"""A drill: a signal that a run sends itself at a named place, to see that nothing is lost."""

import dataclasses
import os
import re
import signal
import threading
from collections.abc import Callable

from grpo_jax.config import ConfigError

# Called with the name of a place as the run gets there.
Pause = Callable[[str], None]
PLACES = ("rollout", "reward", "update", "evaluation", "save")
_SIGNALS = {"sigterm": signal.SIGTERM, "sigint": signal.SIGINT, "sigkill": signal.SIGKILL}
_FORM = re.compile(r"(\w+):(\w+)@(\d+)(?:\+(\d+(?:\.\d+)?))?")


@dataclasses.dataclass(frozen=True)
class Drill:
  """signal: its number. place, time: where, and at which time that the run gets there, from 1.

  delay: seconds from then.
  """

  signal: int
  place: str
  time: int
  delay: float


def parse(fault: str) -> Drill:
  """Reads SIGNAL:PLACE@N, or SIGNAL:PLACE@N+SECONDS.

  Raises:
    ConfigError: it is none.
  """
  found = _FORM.fullmatch(fault)
  if not found or found[1] not in _SIGNALS or found[2] not in PLACES or not int(found[3]):
    raise ConfigError(
      f"--inject_fault={fault}: expected SIGNAL:PLACE@N or SIGNAL:PLACE@N+SECONDS, as in"
      f" sigkill:reward@3, with a signal of {', '.join(_SIGNALS)}, a place of {', '.join(PLACES)},"
      " and N from 1"
    )
  return Drill(_SIGNALS[found[1]], found[2], int(found[3]), float(found[4] or 0))


def with_drill(fault: str, pause: Pause) -> Pause:
  """`pause`, which the drill comes before; an empty one is none."""
  if not fault:
    return pause
  drill, times = parse(fault), [0]

  def at(place: str) -> None:
    times[0] += place == drill.place
    if place == drill.place and times[0] == drill.time:
      if drill.delay:
        threading.Timer(drill.delay, os.kill, (os.getpid(), drill.signal)).start()
      else:
        os.kill(os.getpid(), drill.signal)
    pause(place)

  return at
