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
  text = answer_of(completion[-_TAIL:])
  gold = _parsed(str(fields["answer"]))
  if not gold:
    return math.nan
  if not is_plain(text, _TAIL):
    return 0.0
  with guarded():
    found = _parsed(text)
    return float(bool(found) and math_verify.verify(gold, found, timeout_seconds=None))


def _parsed(text: str) -> list[Any]:
  """What math-verify reads; a bare expression is tried between $ too."""
  for form in (text, f"${text.strip()}$"):
    if found := math_verify.parse(form, parsing_timeout=None):
      return found
  return []
