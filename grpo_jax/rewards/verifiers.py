"""Rule-based rewards. What they read was written by a model: it may not hang or crash them."""

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

# (prompt, completion, the task's fields) -> score, NaN where it cannot score
Reward = Callable[[str, str, Mapping[str, Any]], float]

# Numbers end near the end: what stands before is not read, however long.
_TAIL = 2000
_MOST_DIGITS = 50
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?![\d])")
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_FORMAT = re.compile(
  r"\s*<think>(?:(?!</?think>|</?answer>).)*</think>\s*"
  r"<answer>(?:(?!</?think>|</?answer>).)*</answer>\s*",
  re.DOTALL,
)


def number(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the last number of the completion equals fields["answer"], else 0.

  Only the last number counts, so listing many gains nothing. It is that of the last <answer>
  element where there is one. 1,234 and +5 and 46.0 are read as one would; a fraction, an exponent
  or a unit is read up to where it begins.
  """
  answers = _ANSWER.findall(completion[-_TAIL:])
  found = last_number(answers[-1] if answers else completion)
  wanted = last_number(str(fields["answer"]))
  return float(found is not None and found == wanted)


def last_number(text: str) -> Fraction | None:
  """The last number written in the text, exactly; None where there is none, or one too long."""
  text = text[-_TAIL:].replace("\N{MINUS SIGN}", "-").replace("*", " ").replace("\\boxed{", " ")
  matches = _NUMBER.findall(_spaced_signs(text))
  if not matches or len(matches[-1]) > _MOST_DIGITS:
    return None
  return Fraction(matches[-1].replace(",", ""))


def closeness(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 - |x - a| / |a|, at least 0, of the last number x and the answer a; 0 without a number.

  A slope towards `number` for a model that is seldom right. Alone it can be gamed by a good guess.
  """
  found, wanted = last_number(completion), last_number(str(fields["answer"]))
  if found is None or not wanted:
    return float(found is not None and found == wanted)
  return float(max(1 - abs(found - wanted) / abs(wanted), Fraction(0)))


def exact(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion is fields["answer"] and nothing else but space around it."""
  return float(completion.strip() == str(fields["answer"]).strip())


def answer_format(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion is one <think> element, then one <answer> element, and nothing else."""
  return float(_FORMAT.fullmatch(completion) is not None)


REWARDS: dict[str, Reward] = {
  "number": number,
  "closeness": closeness,
  "exact": exact,
  "format": answer_format,
}


def _spaced_signs(text: str) -> str:
  """Parts a dash that joins two numbers from a sign: in 12-7 the last number is 7."""
  return re.sub(r"(?<=[\d)])\s?[-+](?=\d)", " ", text)
