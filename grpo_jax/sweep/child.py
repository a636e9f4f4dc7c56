"""One training process of a trial: started on its slot, ended with all that it has started."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from grpo_jax.sweep.slots import Slot

# From SIGTERM to SIGKILL: enough to write a checkpoint of a small run.
_PATIENCE_S = 20.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class Child:
  """Starts `command`, its output added to the file `log`."""

  def __init__(self, command: Sequence[str], log: str, slot: Slot):
    self.log = log
    with open(log, "ab") as output:
      self.start = output.tell()
      self._process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=os.environ | dict(slot.variables),
        start_new_session=True,  # Ctrl-C is for the sweep, which ends its children itself
        preexec_fn=_prepare(slot),
      )
    self.ended = False  # by us
    self._deadline = float("inf")

  def poll(self) -> int | None:
    """The exit code, negative for a signal; None while it runs."""
    if time.monotonic() > self._deadline:
      self._send(signal.SIGKILL)
    code = self._process.poll()
    if code is not None:
      self._send(signal.SIGKILL)  # what it has left behind
    return code

  def end(self, at_once: bool = False) -> None:
    """Asks it to end, and kills it where it does not."""
    if not self.ended or at_once:
      self._send(signal.SIGKILL if at_once else signal.SIGTERM)
      self._deadline = time.monotonic() + _PATIENCE_S
    self.ended = True

  def _send(self, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
      os.killpg(self._process.pid, number)


def _prepare(slot: Slot) -> Callable[[], None]:
  """What the child does before its program: it takes its cores, and dies with the sweep."""
  prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

  def prepare() -> None:
    if prctl is not None:
      prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if slot.cores and hasattr(os, "sched_setaffinity"):
      os.sched_setaffinity(0, slot.cores)

  return prepare
