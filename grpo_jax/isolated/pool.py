"""The run's side: workers that are killed when they are late, and replaced."""

import concurrent.futures
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

from grpo_jax.config import ConfigError, Scoring
from grpo_jax.isolated.spawn import Spawn
from grpo_jax.isolated.worker import begin, call

_POLL_S = 0.2
_GB = 10**9
# What a pool raises whose processes are gone: BrokenProcessPool, and its own.
_BROKEN = (RuntimeError,)


class Workers:
  """Processes for the calls of one run, started with the first call.

  Args:
    config: how many, and their limits.
    log: a file for what they print.
    files: those whose functions will be called.
  """

  def __init__(self, config: Scoring, log: str, files: Sequence[str] = ()):
    self._config, self._log, self._files = config, os.path.abspath(log), tuple(files)
    self._pool: Any = None
    self._known: set[int] = set()

  def map(
    self,
    path: str,
    name: str,
    calls: Sequence[tuple],
    pause: Callable[[], None] = lambda: None,
    *,
    function: Callable[..., tuple[str, Any]] = call,
  ) -> list[Any]:
    """What became of each call of function `name` of a file.

    "scored" with the score, or "error", "invalid", "timeout", "crash" with a text.

    Args:
      path, name: of the function.
      calls: the arguments of each.
      pause: called while they are waited for; may raise.
      function: what a process does with path, name and arguments; `worker.call` by default.

    Raises:
      ConfigError: pebble is not installed.
      RuntimeError: no process can be started.
    """
    try:
      return self._mapped(function, path, name, calls, pause)
    except _BROKEN:  # a process was ended between two calls, and pebble ends all then
      self.close()
    try:
      return self._mapped(function, path, name, calls, pause)
    except _BROKEN as error:
      self.close()
      raise RuntimeError(
        f"the processes that call {path}:{name} end before they answer ({error}): {self._log} may"
        " say why; --config.scoring.workers=0 calls it in the run's own process"
      ) from error

  def _mapped(
    self,
    function: Callable[..., tuple[str, Any]],
    path: str,
    name: str,
    calls: Sequence[tuple],
    pause: Callable[[], None],
  ) -> list[Any]:
    limit, pool = self._config.timeout_s, self._started()
    futures = [pool.schedule(function, args=[path, name, *own], timeout=limit) for own in calls]
    answers = [self._answer(future, pause) for future in futures]
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

  def _answer(self, future: Any, pause: Callable[[], None]) -> Any:
    from pebble import ProcessExpired

    while not future.done():
      pause()
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
    context = Spawn(self._log)
    self._pids = context.SimpleQueue()
    limits = (self._pids, int(self._config.memory_gb * _GB), self._log, self._files)
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


def make_workers(config: Scoring, log: str, files: Sequence[str] = ()) -> Workers | None:
  """`Workers`, or None where scoring.workers=0 has rewards called in the run's own process."""
  return Workers(config, log, files) if config.workers else None
