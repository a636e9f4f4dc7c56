"""Why a training process ended as it did, in one line."""

import difflib
import re
import signal
from collections.abc import Iterable

_TAIL = 200_000  # bytes of the log that are looked at
_LONGEST = 300


def exit_reason(code: int, log: str, start: int) -> str:
  """Why a process failed.

  Args:
    code: its exit code, negative for a signal, not 0.
    log: file of its output. start: where its own begins.
  """
  lines = _tail(log, start)
  exhausted = [line for line in lines if "RESOURCE_EXHAUSTED" in line]
  if exhausted:
    said = exhausted[-1].removeprefix("error: ").removeprefix("out of memory: ")
    return _short(f"out of memory: {said}")
  if code < 0:
    hint = ", as when memory runs out" if -code == signal.SIGKILL else ""
    return f"killed by signal {-code} ({_name(-code)}){hint}"
  own = [line for line in lines if re.match(r"error:|\w*(Error|Exception)\b", line)]
  said = (own or lines or ["it said nothing"])[-1]
  return _short(f"exit code {code}: {said.removeprefix('error: ')}")


def figure_reason(objective: str, known: Iterable[str]) -> str:
  """Why a run that ended well has no objective; `known` are the figures that it has."""
  near = difflib.get_close_matches(objective, list(known), n=1, cutoff=0.4)
  hint = f"; did you mean {near[0]!r}?" if near else ""
  return f"no {objective} in metrics.jsonl{hint}"


def _tail(path: str, start: int) -> list[str]:
  with open(path, "rb") as file:
    end = file.seek(0, 2)
    file.seek(max(start, end - _TAIL))
    text = file.read().decode("utf-8", errors="replace")
  return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def _name(number: int) -> str:
  try:
    return signal.Signals(number).name
  except ValueError:
    return "unknown"


def _short(line: str) -> str:
  return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
