"""How a command speaks and ends: errors that a person can mend are one line, and exit with 2."""

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from absl import logging as absl_logging

from grpo_jax.config import ConfigError


def in_one_line(action: Callable[[], Any]) -> Any:
  """What `action` returns; an error meant for a person is one line, and ends the program."""
  # The compiler, jax and orbax log what only their developers can use; what fails is raised too.
  absl_logging.set_verbosity(absl_logging.WARNING)
  for name in ("absl", "asyncio"):
    logging.getLogger(name).setLevel(logging.CRITICAL)
  try:
    return action()
  except (ConfigError, ValueError, TypeError, RuntimeError, OSError) as error:
    if not isinstance(error, ConfigError) and not _is_own(error):
      raise
    stop(str(error))


def unless_stopped(action: Callable[[], Any]) -> Any:
  """As `in_one_line`, where Ctrl-C leaves nothing to resume."""
  try:
    return in_one_line(action)
  except KeyboardInterrupt:
    leave("stopped", 130)


def _is_own(error: BaseException) -> bool:
  """Whether the error was raised by this package's own code, as a line for a person."""
  frame = error.__traceback__
  while frame is not None and frame.tb_next is not None:
    frame = frame.tb_next
  module = frame.tb_frame.f_globals.get("__name__", "") if frame else ""
  return module.startswith("grpo_jax.")


def say(line: str) -> None:
  """A line of what was asked for."""
  print(line, flush=True)


def warn(line: str) -> None:
  """A line beside it, on standard error."""
  print(line, file=sys.stderr, flush=True)


def stop(line: str) -> NoReturn:
  """Ends the program for what a person can mend."""
  leave(f"error: {line}", 2)


def leave(line: str, code: int) -> NoReturn:
  """Ends the program with a line and an exit code."""
  warn(line)
  raise SystemExit(code)
