"""A sweep from its options to its summary, on this machine."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grpo_jax.config import ConfigError, Population
from grpo_jax.sweep import summary
from grpo_jax.sweep.evaluation import Asked, Evaluation
from grpo_jax.sweep.ledger import Ledger
from grpo_jax.sweep.loop import Loop, check_failures
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.point import check_objective
from grpo_jax.sweep.population import PopulationRun
from grpo_jax.sweep.samplers import grid_size
from grpo_jax.sweep.search import Search, make_search
from grpo_jax.sweep.slots import Slot, make_slots, own_cores, own_gpus
from grpo_jax.sweep.storage import storage_errors
from grpo_jax.sweep.study import open_study
from grpo_jax.sweep.trial import TrialRun

_HOUR_S = 3600
# SIGUSR2 is what Slurm sends before the time is up.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


def run(options: Options, say: Callable[[str], None] = print) -> int:
  """Runs what is left of a sweep; the same call goes on with it, and others may join.

  Returns:
    The exit code: 0, or 128 and the signal that has stopped it.

  Raises:
    ConfigError: one line: it cannot be run, or no trial has succeeded.
  """
  search = checked(options)
  slots = make_slots(options.jobs, options.devices_per_trial, own_cores(), own_gpus(os.environ))
  study = open_study(options, search)
  ledger = Ledger(study, search, options, _limit(options, search))
  say(f"sweep {options.study} in {options.url}: {len(ledger.counted())} trials so far")
  if search.note:
    say(search.note)
  check_failures(ledger.counted(), options.max_failed)

  def start(asked: Sequence[Asked], slot: Slot) -> Evaluation:
    if options.population > 1:
      return PopulationRun(options, asked, slot)
    return TrialRun(options, asked[0], slot)

  loop = Loop(ledger, slots, start, say, options.max_failed, options.population)
  with _signals(options.hours) as caught, storage_errors(options.url):
    whole = loop.run(lambda: len(caught()))
    numbers = caught()
  _close(ledger, options, whole, say)
  return 128 + numbers[0] if numbers and numbers[0] else 0


def checked(options: Options) -> Search:
  """The search space, when all that can be refused before any trial has been.

  Raises:
    ConfigError: one line.
  """
  if not options.workdir:
    raise ConfigError("--workdir is missing: name the folder of the sweep, as in runs/sweep")
  check_objective(options.experiment, options.objective, options.pruner != "none")
  if options.pruner == "ceiling" and options.direction == "minimize":
    raise ConfigError("--pruner=ceiling is of figures from 0 to 1 of which more is better")
  if options.population > 1 and options.experiment.population != Population():
    raise ConfigError("--population makes populations of trials: the config may have none itself")
  search = make_search(options)
  if options.sampler == "grid":
    _limit(options, search)
  try:
    os.makedirs(options.workdir, exist_ok=True)
  except OSError as error:
    raise ConfigError(f"--workdir={options.workdir}: cannot be made: {error.strerror}") from error
  return search


def _limit(options: Options, search: Search) -> int | None:
  """Trials of the whole study; a grid ends with its last point."""
  limits = [options.trials] if options.trials else []
  if options.sampler == "grid" and search.ranges:
    limits.append(grid_size(search.ranges))
  return min(limits, default=None)


def _close(ledger: Ledger, options: Options, whole: bool, say: Callable[[str], None]) -> None:
  """Says how it went and what to type next."""
  study = ledger.study
  running = [t for t in ledger.counted() if t.state.name == "RUNNING"]
  if not whole:
    say(f"stopped with {len(running)} trials under way; the same command goes on with them")
  elif running:
    say(
      f"{len(running)} trials are under way in other workers; should those die, the same command"
      " goes on with them"
    )
  if summary.ranked(study):
    for line in summary.table(study, options.objective) + summary.failures(ledger.counted()):
      say(line)
    best = summary.ranked(study)[0]
    say(f"the best again: {_again(best, options)}")
  elif whole:
    check_failures(ledger.counted(), 1)


def _again(trial: Any, options: Options) -> str:
  """The trial's command, in a folder of its own."""
  command, folder = trial.user_attrs["command"], trial.user_attrs["folder"]
  return str(command.replace(folder, f"{os.path.abspath(options.workdir)}/best-{trial.number:04d}"))


@contextlib.contextmanager
def _signals(hours: float) -> Iterator[Callable[[], list[int]]]:
  """Collects signals instead of dying of them; the end of the time budget counts as one, 0."""
  caught: list[int] = []
  # nohup's ignored SIGHUP stays so.
  wanted = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
  before = {number: signal.signal(number, lambda n, _: caught.append(n)) for number in wanted}
  until = time.monotonic() + hours * _HOUR_S if hours else float("inf")

  def found() -> list[int]:
    if not caught and time.monotonic() > until:
      caught.append(0)
    return caught

  try:
    yield found
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)
