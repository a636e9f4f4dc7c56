"""What came of a call, read from what a program that nobody trusts has written."""

import dataclasses
import json
from typing import Any, Literal

_LONGEST_REASON = 300


@dataclasses.dataclass(frozen=True)
class Outcome:
  """Of one call.

  kind: "value", it returned; "error", it raised, is not there, or the process died; "timeout", its
    time was over; "invalid", what it returned is not JSON or too large.
  value: what it returned, as JSON reads it: a tuple is a list, a key is text. Only of a "value".
  reason: one line of printable text for the others.
  ended: whether the process was ended, or ended itself, before it answered this call.
  """

  kind: Literal["value", "error", "timeout", "invalid"]
  value: Any = None
  reason: str = ""
  ended: bool = False


def read(data: bytes, count: int, end: Outcome, *, clean: bool) -> list[Outcome]:
  """The outcomes of `count` calls: a line each, then `end` for those that have none.

  Where the process did not end cleanly the last call has none, whatever was written: our own code
  exits at once after the last line, so that a program wrote the lines itself and then went on.
  """
  lines = data.split(b"\n")[:-1]  # a line that was not finished is none
  lines = lines[: count if clean else max(count - 1, 0)]
  return [_read_line(line) for line in lines] + [end] * (count - len(lines))


def one_line(text: str) -> str:
  """The text without control characters, at most 300 characters: a program wrote it."""
  text = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * _LONGEST_REASON])
  return " ".join(text.split())[:_LONGEST_REASON]


def _read_line(line: bytes) -> Outcome:
  try:
    found = json.loads(line)
  # Nested too deep, or an int of more digits than Python reads.
  except (ValueError, RecursionError, MemoryError) as error:
    return Outcome("invalid", reason=one_line(f"its answer cannot be read: {error}"))
  if isinstance(found, dict) and len(found) == 1:
    if "value" in found:
      return Outcome("value", found["value"])
    for kind in ("error", "invalid"):
      if isinstance(found.get(kind), str):
        return Outcome(kind, reason=one_line(found[kind]))  # type: ignore[arg-type]
  return Outcome("invalid", reason="its answer has another form")
