"""The child's side: one process that calls functions of files."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any

from grpo_jax.isolated.files import LoadError, load
from grpo_jax.isolated.number import InvalidScoreError, as_score

# What became of a call, and the score, or the text of what went wrong.
Answer = tuple[str, float | str]
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_WATCH_S = 1.0


def begin(pids: Any, memory_bytes: int, log: str, files: Sequence[str]) -> None:
  """Sets a process up before its first call.

  Args:
    pids: a queue, told of the process, whose group is its own: what it starts ends with it.
    memory_bytes: the most address space it may take; 0 for no limit.
    log: a file that takes what is printed.
    files: loaded here, where no call has to wait for what they import.
  """
  os.setsid()
  pids.put(os.getpid())
  _end_with(os.getppid())
  os.environ["JAX_PLATFORMS"] = "cpu"  # the accelerator is the run's
  nothing = os.open(os.devnull, os.O_RDONLY)
  out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
  for source, target in ((nothing, 0), (out, 1), (out, 2)):
    os.dup2(source, target)
  if memory_bytes:
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError):  # a lower limit is there already
      resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, most))
  for path in files:
    with contextlib.suppress(LoadError):  # a call will say so
      load(path)


def _end_with(parent: int) -> None:
  """Ends this process and its group where the run is killed, and cannot end it."""
  if sys.platform == "linux":  # in a loop in C no thread of ours would run
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)

  def watch() -> None:
    while os.getppid() == parent:
      time.sleep(_WATCH_S)
    os.killpg(0, signal.SIGKILL)

  threading.Thread(target=watch, daemon=True).start()


def call(path: str, name: str, *arguments: Any) -> Answer:
  """Calls function `name` of a file; nothing that it raises leaves this process."""
  try:
    value = getattr(load(path), name)(*arguments)
    return "scored", as_score(value)
  except InvalidScoreError as error:
    return "invalid", str(error)
  except (Exception, SystemExit):  # sys.exit() would end the worker
    return "error", traceback.format_exc()
