"""The run's side: workers that are killed when they are late, and replaced."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from grpo_jax.config import ConfigError, Scoring
from grpo_jax.isolated.worker import Answer, begin, call

_POLL_S = 0.2
_GB = 10**9


class Workers:
  """Processes for the calls of one run, started with the first call.

  Args:
    config: how many, and their limits.
    log: a file for what they print.
    pause: called while calls are waited for; may raise.
  """

  def __init__(self, config: Scoring, log: str, pause: Callable[[], None] = lambda: None):
    self._config, self._log, self._pause = config, os.path.abspath(log), pause
    self._pool: Any = None
    self._known: set[int] = set()

  def map(self, path: str, name: str, calls: Sequence[tuple]) -> list[Answer]:
    """What became of each call of function `name` of a file.

    "scored" with the score, or "error", "invalid", "timeout", "crash" with a text.

    Raises:
      ConfigError: pebble is not installed.
    """
    limit = self._config.timeout_s
    pool = self._started()
    futures = [pool.schedule(call, args=[path, name, *own], timeout=limit) for own in calls]
    answers = [self._answer(future) for future in futures]
    if any(kind in ("timeout", "crash") for kind, _ in answers):
      self._end_orphans()
    return answers

  def close(self) -> None:
    """Ends them, and all that they have started."""
    if self._pool is not None:
      self._pool.stop()
      self._pool.join()
      self._end_orphans()
      self._pool = None

  def _answer(self, future: Any) -> Answer:
    from pebble import ProcessExpired

    while not future.done():
      self._pause()
      concurrent.futures.wait([future], timeout=_POLL_S)
    try:
      return future.result()
    except concurrent.futures.TimeoutError:
      return "timeout", f"took longer than scoring.timeout_s={self._config.timeout_s:g} seconds"
    except ProcessExpired as error:
      return "crash", f"ended its process with exit code {error.exitcode}"

  def _started(self) -> Any:
    if self._pool is not None:
      return self._pool
    try:
      import pebble
    except ImportError:
      raise ConfigError(
        "rewards in worker processes need pebble: pip install 'grpo_jax[rewards]', or"
        " --config.scoring.workers=0 to call them in the run's own process, without limits"
      ) from None
    context = multiprocessing.get_context("spawn")  # jax has threads, which a fork would lose
    self._pids = context.SimpleQueue()
    limits = (self._pids, int(self._config.memory_gb * _GB), self._log)
    self._pool = pebble.ProcessPool(
      self._config.workers, initializer=begin, initargs=limits, context=context
    )
    return self._pool

  def _end_orphans(self) -> None:
    """Kills what workers that are gone have started: it is in their groups."""
    while not self._pids.empty():
      self._known.add(self._pids.get())
    for pid in list(self._known):
      if not os.path.exists(f"/proc/{pid}"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
          os.killpg(pid, signal.SIGKILL)
        self._known.discard(pid)
