"""Multiple choice."""

import re
from collections.abc import Mapping
from typing import Any

from grpo_jax.isolated.found import answer_of
from grpo_jax.rewards.numbers import TAIL

# A letter by itself: B, (B), B., **B**, but not one of a word, nor "I'm".
_QUOTES = "'\N{RIGHT SINGLE QUOTATION MARK}"
_LETTER = re.compile(rf"(?<![^\W_])(?<![{_QUOTES}])([A-Z])(?![^\W_])(?![{_QUOTES}])")
_ALONE = re.compile(r"[\s(*_\"'.]*([A-Za-z])[\s).:*_\"']*")


def choice(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion's `letter` is fields["answer"], else 0."""
  return float(letter(completion, fields) == str(fields["answer"]))


def letter(completion: str, fields: Mapping[str, Any]) -> str | None:
  """The letter that a completion chooses; None where it chooses none.

  It is the last capital one that stands by itself, in the last <answer> element where there is one;
  one that is all there is may be small. So listing letters gains nothing. Without any, the text of
  an option, and nothing else, counts as its letter.
  """
  text = answer_of(completion)[-TAIL:]
  if alone := _ALONE.fullmatch(text):
    return alone[1].upper()
  if text in (options := list(fields.get("options", ()))):
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[options.index(text)]
  letters = _LETTER.findall(text)
  return letters[-1] if letters else None
