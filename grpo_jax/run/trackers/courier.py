"""A thread that hands figures to a tracker: nothing waits for it, and a fault is told once."""

import logging
import queue
import threading
from collections.abc import Mapping

from grpo_jax.run.trackers.tracker import Tracker

_LOG = logging.getLogger(__name__)
# Lines that may wait; a step has one, or two.
_MOST = 10_000
# Seconds that the end of a run waits for what is left to send.
_PATIENCE = 60.0


class Courier:
  """Takes a tracker's figures and hands them over, in order, in a thread of its own.

  Args:
    name: of the tracker, for what is told of it.
    tracker: called from the thread only.
    most: lines that may wait for it; where there are more it is given up.
    patience: seconds that `close` waits.
  """

  def __init__(
    self,
    name: str,
    tracker: Tracker,
    *,
    most: int = _MOST,
    patience: float = _PATIENCE,
  ):
    self._name, self._tracker, self._patience = name, tracker, patience
    self._lines: queue.Queue[tuple[int, Mapping[str, float]] | None] = queue.Queue(most)
    self._lost, self._whole = threading.Event(), False
    self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
    self._thread.start()

  def send(self, step: int, figures: Mapping[str, float]) -> None:
    """Returns at once."""
    if self._lost.is_set():
      return
    try:
      self._lines.put_nowait((step, figures))
    except queue.Full:
      self._give_up(f"{self._lines.maxsize} lines wait to be sent")

  def close(self, *, whole: bool) -> None:
    """Waits until all is handed over, for a while."""
    self._whole = whole
    if self._lost.is_set():
      return
    try:
      self._lines.put(None, timeout=self._patience)
      self._thread.join(self._patience)
    except queue.Full:
      pass
    if self._thread.is_alive():
      self._give_up(f"not all was sent within {self._patience:.0f} s")

  def _work(self) -> None:
    try:
      while (line := self._lines.get()) is not None:
        self._tracker.write(*line)
      self._tracker.close(whole=self._whole)
    except Exception as error:  # of the network, of the disk: whatever others raise
      self._give_up(" ".join(str(error).split()) or type(error).__name__)

  def _give_up(self, reason: str) -> None:
    if not self._lost.is_set():
      self._lost.set()
      _LOG.warning("no more figures for --tracker=%s: %s", self._name, reason)
