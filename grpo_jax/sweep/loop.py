"""Trials over slots: filled, watched and freed until the study is done or the sweep is stopped."""

import time
from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.sweep import summary
from grpo_jax.sweep.batch import Batch
from grpo_jax.sweep.evaluation import Runner
from grpo_jax.sweep.ledger import Ledger
from grpo_jax.sweep.slots import Slot

_PAUSE_S = 0.1
_AGAIN_S = 1.0  # between two looks for something to start


class Loop:
  """Runs batches on slots.

  Args:
    ledger: the study's trials. slots: one batch each at a time. runner: see Batch.
    say: takes lines for a person.
    max_failed: failures without any success after which there is no point in going on.
    count: trials of a batch.
  """

  def __init__(
    self,
    ledger: Ledger,
    slots: list[Slot],
    runner: Runner,
    say: Callable[[str], None],
    max_failed: int,
    count: int = 1,
  ):
    self._ledger, self._free, self._runner = ledger, list(slots), runner
    self._say, self._max_failed, self._count = say, max_failed, count
    self._batches: list[Batch] = []
    self._looked = -_AGAIN_S

  def run(self, stopped: Callable[[], int]) -> bool:
    """Goes on until there is nothing to start and nothing runs, or until it is stopped.

    Args:
      stopped: 0; 1 to end the children; 2 to kill them.

    Returns:
      Whether it came to its end; else the trials under way are left to be resumed.

    Raises:
      ConfigError: the first `max_failed` trials have all failed.
    """
    try:
      while not stopped():
        started = self._fill()
        if self._poll():
          check_failures(self._ledger.counted(), self._max_failed)
        if not self._batches and not started and not self._ledger.unclaimed():
          return True
        self._ledger.say_alive()
        time.sleep(_PAUSE_S)
      return False
    finally:
      self._stop(stopped)
      self._ledger.close()

  def _fill(self) -> bool:
    """Starts what can be started; whether anything was, or may be later."""
    if not self._free or time.monotonic() - self._looked < _AGAIN_S:
      return True
    while self._free:
      batch = Batch(self._ledger, self._free[0], self._runner, self._count)
      if batch.over:
        self._looked = time.monotonic()
        return False
      self._free.pop(0)
      self._batches.append(batch)
      for asked in batch.asked:
        self._say(f"trial {asked.number} runs on {batch.slot.name}: {summary.point(asked.values)}")
    return True

  def _poll(self) -> bool:
    """Tells what has ended; whether anything has."""
    some = False
    for batch in list(self._batches):
      for event in batch.poll():
        some, self._looked = True, -_AGAIN_S
        finished = [t for t in self._ledger.counted() if t.state.is_finished()]
        study, limit = self._ledger.study, self._ledger.limit
        self._say(summary.event_line(study, event, len(finished), limit))
      if batch.over:
        self._batches.remove(batch)
        self._free.append(batch.slot)
    return some

  def _stop(self, stopped: Callable[[], int]) -> None:
    """Ends all children and waits for them."""
    while [batch for batch in self._batches if not batch.stop(stopped() > 1)]:
      time.sleep(_PAUSE_S)


def check_failures(trials: list[Any], most: int) -> None:
  """Raises ConfigError where at least `most` trials have failed and none has not."""
  failed = [t for t in trials if t.state.name == "FAIL"]
  ended = [t for t in trials if t.state.is_finished()]
  if len(failed) == len(ended) and len(failed) >= most:
    raise ConfigError(
      f"the first {len(failed)} trials failed and none succeeded: {summary.common_reason(failed)}:"
      f" mend it and name another --workdir, or go on with --max_failed={len(failed) + most}"
    )
