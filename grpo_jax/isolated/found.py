"""The answer in what a model wrote."""

import re

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def answer_of(completion: str, tail: int = 2000) -> str:
  """What stands in the last <answer> element; the whole where there is none.

  tail: only so many characters at the end are looked at for it.
  """
  answers = _ANSWER.findall(completion[-tail:])
  return (answers[-1] if answers else completion).strip()
