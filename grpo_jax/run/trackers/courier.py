"""A thread that hands figures to a tracker: nothing waits for it, and a fault is told once."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from grpo_jax.run.trackers.tracker import Tracker

# Lines that may wait; a step has one, or two.
_MOST = 10_000
# Seconds before each new try of a call that has failed.
_PAUSES = (1.0, 3.0, 10.0)

_Line = tuple[int, Mapping[str, float]]


class Courier:
  """Takes a tracker's figures and hands them over, in order, in a thread of its own.

  Args:
    name: of the tracker, for what is told of it.
    tracker: called from the thread only.
    warn: takes a line on why there are no more figures, from any thread.
    most: lines that may wait for it; where there are more it is given up.
    pauses: seconds before each new try of a call that has failed.
  """

  def __init__(
    self,
    name: str,
    tracker: Tracker,
    warn: Callable[[str], None],
    *,
    most: int = _MOST,
    pauses: Sequence[float] = _PAUSES,
  ):
    self._name, self._tracker, self._warn = name, tracker, warn
    self._most, self._pauses = most, pauses
    self._lines: queue.SimpleQueue[_Line | None] = queue.SimpleQueue()
    self._lost, self._ending, self._whole = threading.Event(), threading.Event(), False
    self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
    self._thread.start()

  def send(self, step: int, figures: Mapping[str, float]) -> None:
    """Returns at once."""
    if self._lost.is_set():
      return
    if self._lines.qsize() < self._most:
      self._lines.put((step, figures))
    else:
      self._give_up(f"{self._most} lines wait to be sent")

  def end(self, *, whole: bool) -> None:
    """There are no more lines; returns at once. `whole`: the run has come to its end."""
    self._whole = whole
    self._ending.set()
    self._lines.put(None)

  def wait(self, deadline: float) -> None:
    """Waits, after `end`, until all is handed over, or until a time of the monotonic clock."""
    if self._lost.is_set():
      return
    self._thread.join(max(deadline - time.monotonic(), 0.0))
    if self._thread.is_alive():
      self._give_up("not all was sent before the run ended")

  def _work(self) -> None:
    try:
      while (line := self._lines.get()) is not None and not self._lost.is_set():
        self._hand_over(line)
    except Exception as error:  # of the network, of the disk: whatever others raise
      self._give_up(_said(error))
    try:  # one that has failed too: what it has is kept, and its process and files let go
      self._tracker.close(whole=self._whole and not self._lost.is_set())
    except Exception as error:
      self._give_up(_said(error))

  def _hand_over(self, line: _Line) -> None:
    """Tries it again after each pause; as the run ends there are no pauses."""
    for pause in self._pauses:
      try:
        return self._tracker.write(*line)
      except Exception:
        self._ending.wait(pause)
    self._tracker.write(*line)

  def _give_up(self, reason: str) -> None:
    if self._lost.is_set():
      return
    self._lost.set()
    # The view of a member may raise, to end it: its next line does so too, in its own thread.
    with contextlib.suppress(Exception):
      self._warn(f"no more figures for --tracker={self._name}: {reason}")


def _said(error: Exception) -> str:
  return " ".join(str(error).split()) or type(error).__name__
