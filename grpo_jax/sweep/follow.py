"""metrics.jsonl of a run: read to its end, and followed while it grows."""

import json
import math
import os
from typing import Any


class Follower:
  """Complete lines of a file as they are written.

  A resumed run cuts its file and goes on: what is told again has the same stage and step.
  """

  def __init__(self, path: str):
    self._path = path
    self._offset, self._inode = 0, -1

  def new(self) -> list[dict[str, Any]]:
    """The lines since the last call; none while there is no file."""
    try:
      with open(self._path, "rb") as file:
        found = os.fstat(file.fileno())
        if found.st_ino != self._inode or found.st_size < self._offset:
          self._offset, self._inode = 0, found.st_ino
        file.seek(self._offset)
        text = file.read()
    except FileNotFoundError:
      return []
    whole = text[: text.rfind(b"\n") + 1]
    self._offset += len(whole)
    return [line for line in map(_line, whole.splitlines()) if line is not None]


def figure(line: dict[str, Any], name: str) -> float | None:
  """A figure of a line: NaN where it is null, None where the line has none."""
  if name not in line:
    return None
  value = line[name]
  return float(value) if isinstance(value, (int, float)) else math.nan


def last(path: str, name: str) -> tuple[float | None, set[str]]:
  """The figure of the last line that has it, and the names of all figures of the file."""
  value: float | None = None
  names: set[str] = set()
  for line in Follower(path).new():
    names |= line.keys()
    found = figure(line, name)
    value = value if found is None else found
  return value, names - {"stage", "step"}


def _line(text: bytes) -> dict[str, Any] | None:
  try:
    line = json.loads(text)
  except ValueError:
    return None  # torn by a kill; the run's own reader drops it too
  return line if isinstance(line, dict) and "step" in line else None
