"""Whether two mathematical answers are equal; loaded by workers, which are killed when late.

math-verify's own time limit is a signal, which only a main thread can be given: it is off here.
"""

import logging
import math
from collections.abc import Mapping
from typing import Any

import math_verify

from grpo_jax.isolated.found import answer_of
from grpo_jax.isolated.guard import guarded, is_plain

# Answers stand near the end; what is before is not read.
_TAIL = 2000
logging.getLogger("math_verify").setLevel(logging.CRITICAL)


def equal(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  r"""1 where math-verify finds the completion's answer equal to fields["answer"], else 0.

  The answer is the last <answer> element, else what math-verify takes for one near the end: \boxed,
  an expression between $, or a number. NaN where fields["answer"] itself holds none.
  """
  gold = _bare(str(fields["answer"]))
  if not gold:
    return math.nan
  tail = completion[-_TAIL:]
  text = answer_of(tail)
  if not is_plain(text, _TAIL):
    return 0.0
  with guarded():
    found = _read(text) if text == tail.strip() else _bare(text)
    return float(bool(found) and math_verify.verify(gold, found, timeout_seconds=None))


def _bare(text: str) -> list[Any]:
  """What math-verify reads in a text that is an answer and nothing else."""
  marked = any(mark in text for mark in ("$", "\\boxed", "\\(", "\\["))
  return _read(text) if marked else _read(f"${text.strip()}$") or _read(text)


def _read(text: str) -> list[Any]:
  return math_verify.parse(text, parsing_timeout=None)
