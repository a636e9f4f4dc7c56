"""The trials of a study as one worker sees them: which are to be run, and what came of them."""

import contextlib
import math
import os
import time
import uuid
from typing import Any

from grpo_jax.report.interval import half_width
from grpo_jax.sweep.command import as_text
from grpo_jax.sweep.evaluation import Asked, Ended, Report, Scored
from grpo_jax.sweep.locks import Locks, is_seen
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.search import Search
from grpo_jax.sweep.trial import commands

_ALIVE_S = 60.0  # how often a worker says that it is there
_LOST_S = 600.0  # silence after which a worker whose folders cannot be seen counts as dead
_CLAIM_S = 60.0  # from a trial's first record to its folder


class Ledger:
  """Asks for trials and records them; the trial's user attributes are

  values (fields by path), folder, token (what its lock file says), command, alive (seconds since
  1970), scores (by seed), interval (95 %, by Student's t), reason (of a failure), lost (its worker
  died, and it was enqueued again).

  A trial belongs to the worker that holds the lock in its folder, which the kernel frees when that
  dies.

  Args:
    study: Optuna's. search: its space. options: of this worker.
    limit: trials of the whole study; None for no limit.
  """

  def __init__(self, study: Any, search: Search, options: Options, limit: int | None):
    self.study, self.limit = study, limit
    self._search, self._options = search, options
    self._own: dict[int, Any] = {}
    self._locks = Locks()
    self._said = time.monotonic()

  def ask(self, count: int) -> list[Asked]:
    """At most `count` trials to run: those that dead workers have left, then new ones."""
    asked: list[Asked] = []
    for frozen in self._running():
      if len(asked) < count:
        asked += self._take_over(frozen)
    while len(asked) < count and self._wanted():
      trial = self.study.ask()
      before = [t for t in self.counted() if t.number < trial.number]
      if self.limit is not None and len(before) >= self.limit:  # others were faster
        self._lose(trial.number, "not needed: others had asked for the last trials")
        break
      asked += self._claim(trial)
    return asked

  def counted(self) -> list[Any]:
    """The study's trials, without those that were lost and those that wait."""
    trials = self.study.get_trials(deepcopy=False)
    return [t for t in trials if not t.user_attrs.get("lost") and t.state.name != "WAITING"]

  def unclaimed(self) -> bool:
    """Whether trials were asked for that no worker has begun."""
    return any("folder" not in t.user_attrs for t in self._running())

  def report(self, event: Report) -> bool:
    """Records a score on the way; whether the trial is to be cut short."""
    import optuna

    trial = self._own[event.number]
    if event.step in self._frozen(event.number).intermediate_values:
      return False
    if not math.isfinite(event.value):
      return False
    try:
      trial.report(event.value, event.step)
    except optuna.exceptions.UpdateFinishedTrialError:  # another worker has given it up
      return True
    return bool(trial.should_prune())

  def scored(self, event: Scored) -> None:
    """Records the score of one seed."""
    trial = self._own[event.number]
    scores = trial.user_attrs.get("scores", {}) | {str(event.seed): event.value}
    self._set(trial, scores=scores)

  def tell(self, event: Ended) -> None:
    """Records the end of a trial; one that another worker has given up stays so."""
    import optuna

    trial = self._own.pop(event.number)
    state = optuna.trial.TrialState
    with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
      if event.reason:
        trial.set_user_attr("reason", event.reason)
        self.study.tell(trial, state=state.FAIL)
      elif event.pruned:
        self.study.tell(trial, state=state.PRUNED)
      else:
        half = half_width(list(trial.user_attrs.get("scores", {}).values()))
        if half is not None and event.value is not None:
          trial.set_user_attr("interval", [event.value - half, event.value + half])
        self.study.tell(trial, event.value)
    self._locks.release(event.number)

  def say_alive(self) -> None:
    """Records, now and then, that this worker is there; called often."""
    if time.monotonic() - self._said > _ALIVE_S:
      self._said = time.monotonic()
      for trial in self._own.values():
        self._set(trial, alive=time.time())

  def close(self) -> None:
    """Leaves the trials under way to the next worker."""
    self._locks.close()

  def _set(self, trial: Any, **attributes: Any) -> None:
    """Sets attributes in order, as long as the trial has not been given up by another worker."""
    import optuna

    with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
      for name, value in attributes.items():
        trial.set_user_attr(name, value)

  def _wanted(self) -> bool:
    return self.limit is None or len(self.counted()) < self.limit

  def _frozen(self, number: int) -> Any:
    return self.study.get_trials(deepcopy=False)[number]

  def _running(self) -> list[Any]:
    trials = self.study.get_trials(deepcopy=False)
    return [t for t in trials if t.state.name == "RUNNING" and t.number not in self._own]

  def _take_over(self, frozen: Any) -> list[Asked]:
    """A running trial of another worker, where that is dead."""
    import optuna

    folder = frozen.user_attrs.get("folder")
    if folder is None:
      # abs, as the other machine's clock may be in another time zone.
      if abs(time.time() - frozen.datetime_start.timestamp()) < _CLAIM_S:
        return []
    elif not is_seen(folder, frozen.user_attrs["token"]):
      if time.time() - frozen.user_attrs["alive"] > _LOST_S:
        self._lose(frozen.number, "its worker died, and its folder cannot be seen from here")
        self.study.enqueue_trial(frozen.params)
      return []
    return self._claim(optuna.trial.Trial(self.study, frozen._trial_id))

  def _claim(self, trial: Any) -> list[Asked]:
    """Makes a trial this worker's own; none where another has it."""
    number = trial.number
    folder = trial.user_attrs.get("folder", os.path.abspath(self._options.folder(number)))
    if not self._locks.take(number, folder):
      return []
    if self._frozen(number).state.name != "RUNNING":  # ended just now
      self._locks.release(number)
      return []
    self._own[number] = trial
    return [self._recorded(trial, folder)]

  def _recorded(self, trial: Any, folder: str) -> Asked:
    found = trial.user_attrs
    values = found.get("values") or self._search.suggest(trial)
    scores = {int(seed): value for seed, value in found.get("scores", {}).items()}
    asked = Asked(trial.number, values, folder, scores)
    command = as_text(list(commands(self._options, asked).values()))
    token = found.get("token") or uuid.uuid4().hex
    self._locks.sign(folder, token)
    # The folder last: what has one has all.
    self._set(trial, values=values, command=command, alive=time.time(), token=token, folder=folder)
    return asked

  def _lose(self, number: int, reason: str) -> None:
    import optuna

    with contextlib.suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
      trial = optuna.trial.Trial(self.study, self._frozen(number)._trial_id)
      trial.set_user_attr("lost", True)
      trial.set_user_attr("reason", reason)
      self.study.tell(number, state=optuna.trial.TrialState.FAIL)
