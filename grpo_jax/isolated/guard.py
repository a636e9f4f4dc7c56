"""While a library judges what a model wrote: no files of others, processes, or sockets.

Some of them parse by evaluating. This is no sandbox: it stops what a model might stumble on, and
the process's deadline and memory limit stop the rest.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

_FORBIDDEN = (
  *("os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "signal.", "tempfile."),
  *("urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "fcntl.", "resource.", "code."),
  *("builtins.input", "builtins.breakpoint", "pickle.", "sys.addaudithook"),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_LISTED = ("os.listdir", "os.scandir")
_on = False
_hooked = False


class ForbiddenError(RuntimeError):
  """Something that no answer needs was tried."""


@contextlib.contextmanager
def guarded() -> Iterator[None]:
  """Such things raise `ForbiddenError` within it; libraries may still load parts of themselves."""
  global _on, _hooked
  if not _hooked:
    sys.addaudithook(_audit)
    _hooked = True
  before, _on = _on, True
  try:
    yield
  finally:
    _on = before


def is_plain(text: str, longest: int) -> bool:
  """Whether the text may be given to a parser that evaluates: no names that lead into Python."""
  return len(text) <= longest and "__" not in text


def _audit(event: str, arguments: tuple) -> None:
  if not _on:
    return
  if event == "open":
    path, _, flags = arguments
    if not flags & _WRITING and _is_library(path):
      return
  elif not event.startswith(_FORBIDDEN) or (event in _LISTED and _is_library(arguments[0])):
    return
  raise ForbiddenError(f"{event} was tried while an answer was judged")


def _is_library(path: object) -> bool:
  """Whether a path is of a folder that modules are imported from."""
  if not isinstance(path, str):
    return False
  place = os.path.abspath(path)
  return any(place.startswith(os.path.abspath(home) + os.sep) for home in sys.path if home) or (
    place in sys.path
  )
