"""How the processes of a run end: together, or at once when one of them is lost."""

import atexit
import contextlib
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import NoReturn

import jax
from orbax.checkpoint import multihost

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes

# The exit code of a process that has lost another one.
LOST = 3
_LINE = (
  "error: another process of this run has ended or does not answer ({}): this one ends too; the"
  " same command on all of them resumes the run from its newest checkpoint"
)
# Errors, in the words of jax's runtime, that say that a process is gone.
_GONE = re.compile(
  r"(?!RESOURCE_EXHAUSTED)[A-Z_]+: .*(gloo|nccl|barrier|coordination|heartbeat|connection|peer)",
  re.IGNORECASE | re.DOTALL,
)
# Seconds within which all processes have failed, where all fail.
_GRACE = 5
_ending, _said = threading.Event(), threading.Lock()


def begin(timeout_s: float) -> None:
  """Watches over the others from now on, and ends together with them; for several processes."""
  watcher = threading.Thread(target=_watch, args=(timeout_s,), daemon=True)
  watcher.start()
  atexit.register(_leave, timeout_s, watcher)


class TogetherError(Exception):
  """What all processes raise, by agreement: none has to be told of it."""


@contextlib.contextmanager
def guard() -> Iterator[None]:
  """Inside, a process that fails alone, or for want of another, ends at once.

  It would wait for the others as it closes its files, and they for it.
  """
  try:
    yield
  except TogetherError:
    raise
  except BaseException as error:
    if processes.count() == 1:
      raise
    if _is_loss(error):
      _end(_LINE.format(_short(error)), LOST)
    try:
      _meet("grpo_jax_failed", _GRACE)
    except jax.errors.JaxRuntimeError:  # the others go on
      if not isinstance(error, (ConfigError, OSError)):
        traceback.print_exception(error)
      _end(f"error: process {processes.index()}: {_short(error)}", 2)
    raise


def _is_loss(error: BaseException) -> bool:
  """Whether an error says that another process is gone."""
  # The runtime's errors are a ValueError where they come early.
  kinds = (jax.errors.JaxRuntimeError, ValueError)
  return isinstance(error, kinds) and _GONE.match(str(error)) is not None


def _short(error: BaseException) -> str:
  """The first sentence."""
  return " ".join((str(error) or type(error).__name__).split()).split(". ")[0][:200]


def _meet(key: str, timeout_s: float) -> None:
  """Waits until all processes have called it with the same key.

  Raises:
    JaxRuntimeError: one has not within the time, or is gone.
  """
  multihost.get_barrier_sync_fn()(key=key, timeout_ms=int(timeout_s * 1000))


def _watch(timeout_s: float) -> None:
  """Ends this process once another does not come to the meeting that all of them repeat.

  Sooner than jax, which would abort the process without a word of what to do. Who is slow still
  comes, for the meeting is held beside the work.
  """
  silent = _LINE.format("no answer from process 0")
  while not _ending.is_set():
    late = threading.Timer(timeout_s * 0.75, _end, (silent, LOST))
    late.daemon = True
    late.start()
    try:
      _meet("grpo_jax_alive", timeout_s / 2)
    except jax.errors.JaxRuntimeError as error:
      if not _ending.is_set():
        _end(_LINE.format(_short(error)), LOST)
    finally:
      late.cancel()
      late.join()
    _ending.wait(timeout_s / 8)


def _leave(timeout_s: float, watcher: threading.Thread) -> None:
  """At the end of the program: waits for the others, who may have files to write."""
  try:
    _meet("grpo_jax_end", timeout_s)
  except jax.errors.JaxRuntimeError as error:
    _end(_LINE.format(_short(error)), LOST)
  _ending.set()
  # The meeting that the watcher is in ends with the connection, and the watcher with it: a thread
  # that comes back to an interpreter that is gone aborts the process.
  jax.distributed.shutdown()
  watcher.join(timeout_s)


def _end(line: str, code: int) -> NoReturn:
  """Ends this process at once, whatever its threads wait for."""
  _ending.set()
  _said.acquire()  # the first line is the last
  sys.stdout.flush()
  os.write(2, f"{line}\n".encode())
  if processes.index() == 0 and processes.count() > 2:
    # Where the processes meet: without it the others would be aborted before they have their line.
    # With none left to wait for it goes at once, before jax's own threads can abort it.
    time.sleep(1)
  os._exit(code)
