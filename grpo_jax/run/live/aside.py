"""What else writes to the terminal while a view has it: by any thread, library or child process."""

import contextlib
import os
import sys
from typing import IO

from grpo_jax.run.console import stripped

# Bytes that are read at once; the rest waits for the next time.
_PART = 1 << 16


class Aside:
  """Turns standard output and error from a terminal to the end of a file, which is read here.

  A file, and no pipe: whoever writes never waits, and after a crash the last words are there.

  Args:
    path: of the file; made where it is not there.
  """

  def __init__(self, path: str):
    self._before: dict[int, int] = {}
    self._rest = b""
    to = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    self._file: IO[bytes] = open(path, "rb")  # noqa: SIM115, open while it is written
    self._file.seek(0, os.SEEK_END)
    _flush()
    for number in self._terminals():
      self._before[number] = os.dup(number)
      os.dup2(to, number)
    os.close(to)

  def _terminals(self) -> list[int]:
    return [number for number in (1, 2) if os.isatty(number)]

  def terminal(self) -> int:
    """A descriptor of the terminal itself, of the caller's own."""
    return os.dup(self._before[1])

  def lines(self) -> list[str]:
    """Whole lines that were written since the last call, without what a terminal would obey."""
    *found, self._rest = (self._rest + self._file.read(_PART)).split(b"\n")
    self._rest = _last(self._rest)
    return [_line(line) for line in found]

  def close(self) -> list[str]:
    """Gives the terminal back; the lines that are left."""
    _flush()
    for number, before in self._before.items():
      os.dup2(before, number)
      os.close(before)
    self._before = {}
    *found, rest = (self._rest + self._file.read()).split(b"\n")
    self._file.close()
    return [_line(line) for line in ([*found, rest] if rest else found)]


def _flush() -> None:
  for stream in (sys.stdout, sys.stderr):
    with contextlib.suppress(OSError, ValueError):
      stream.flush()


def _last(rest: bytes) -> bytes:
  """Of a line that has not ended, what would be seen of it: progress is written over and over."""
  seen = rest.rstrip(b"\r")  # those at the end may be of a line's end
  return rest[seen.rfind(b"\r") + 1 :][-_PART:]


def _line(line: bytes) -> str:
  """As it would be seen: of a line that was written over, the last."""
  text = line.decode(errors="replace").rstrip("\r")
  return stripped(text.rpartition("\r")[2])
