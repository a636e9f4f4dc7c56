"""Ask, run, tell: trials that share a slot and are evaluated together."""

from grpo_jax.sweep.evaluation import Ended, Report, Runner, Scored
from grpo_jax.sweep.ledger import Ledger
from grpo_jax.sweep.slots import Slot


class Batch:
  """Asks for up to `count` trials and starts them.

  Args:
    ledger: the study's trials. slot: where they run.
    runner: starts an evaluation of them all, whether that is a process for each or one for all.
    count: at least 1.
  """

  def __init__(self, ledger: Ledger, slot: Slot, runner: Runner, count: int = 1):
    self.slot = slot
    self.asked = ledger.ask(count)
    self._ledger = ledger
    self._left = {asked.number for asked in self.asked}
    self._evaluation = runner(self.asked, slot) if self.asked else None

  @property
  def over(self) -> bool:
    """Whether all have been told."""
    return not self._left

  def poll(self) -> list[Ended]:
    """Records what has happened; the trials that have ended."""
    ended = []
    for event in self._evaluation.poll() if self._evaluation else []:
      if isinstance(event, Report):
        if self._ledger.report(event) and self._evaluation:
          self._evaluation.prune(event.number)
      elif isinstance(event, Scored):
        self._ledger.scored(event)
      else:
        self._ledger.tell(event)
        self._left.discard(event.number)
        ended.append(event)
    return ended

  def stop(self, at_once: bool = False) -> bool:
    """Asks all to end, untold; whether they have."""
    return self._evaluation is None or self._evaluation.stop(at_once)
