"""Runs a program and the calls asked of it, and writes a line for each: in the judged process."""

import json
import os
import sys
import types
from collections.abc import Callable
from typing import Any

# Python has run out of memory: no call after that is to be trusted to work.
MEMORY_EXIT = 112
_LONGEST_REASON = 200


def run(source: str, calls: list[dict[str, Any]], result: int, longest: int) -> None:
  """Writes JSON lines to the file descriptor, {"value"}, {"error"} or {"invalid"}, one a call.

  Nothing here is a secret or a judgement. The program may read, change and forge all of it: it can
  only say what its functions return, which a function that returns it would have said too.

  Args:
    source: the program.
    calls: {"call": a name that the program binds, "args": [...]}.
    result: a file descriptor.
    longest: bytes of a line.
  """
  module = types.ModuleType("answer")
  sys.modules["answer"] = module  # dataclasses look there
  failed = _attempt(lambda: exec(compile(source, "answer.py", "exec"), module.__dict__))
  for call in calls:
    line = _line("error", failed) if failed else _answered(module, call, longest)
    _write(result, line.encode() + b"\n")


def _answered(module: types.ModuleType, call: dict[str, Any], longest: int) -> str:
  function = getattr(module, call["call"], None)
  if not callable(function):
    return _line("error", f"the program has no function {call['call']!r}")
  values: list[Any] = []
  failed = _attempt(lambda: values.append(function(*call["args"])))
  if failed:
    return _line("error", failed)
  texts: list[str] = []
  failed = _attempt(lambda: texts.append(json.dumps(values[0])))
  if failed:
    return _line("invalid", f"its value is not JSON: {failed}")
  if len(texts[0]) > longest:
    return _line("invalid", f"its value is over {longest} bytes of JSON")
  return f'{{"value": {texts[0]}}}'


def _line(kind: str, reason: str) -> str:
  return json.dumps({kind: reason})


def _write(result: int, data: bytes) -> None:
  while data:
    data = data[os.write(result, data) :]


def _attempt(action: Callable[[], object]) -> str:
  """Why the action failed, "" where it did not; ends the process where the memory is full."""
  try:
    action()
  except MemoryError:
    os._exit(MEMORY_EXIT)
  except BaseException as error:  # SystemExit and KeyboardInterrupt of the program's too
    return _reason(error)
  return ""


def _reason(error: BaseException) -> str:
  try:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
  except BaseException:  # an error whose text is an error
    return "an exception without a text"
