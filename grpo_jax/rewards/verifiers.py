"""Rule-based rewards. What they read was written by a model: it may not hang or crash them."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from grpo_jax.isolated.found import answer_of
from grpo_jax.rewards.numbers import TAIL, last_number

# (prompt, completion, the task's fields) -> score, NaN where it cannot score
Reward = Callable[[str, str, Mapping[str, Any]], float]

# Each element holds more than space, and none of the four tags.
_INSIDE = r"\s*+(?:(?!</?think>|</?answer>).)++"
_FORMAT = re.compile(rf"\s*+<think>{_INSIDE}</think>\s*+<answer>{_INSIDE}</answer>\s*+", re.DOTALL)


def number(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the last number of the completion equals fields["answer"], else 0.

  Only the last number counts, so listing many gains nothing. It is that of the last <answer>
  element where there is one. `numbers.last_number` says what is read as a number. NaN where the
  answer itself holds none.
  """
  found, wanted = _found(completion), last_number(str(fields["answer"]))
  return math.nan if wanted is None else float(found == wanted)


def closeness(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 - |x - a| / |a|, at least 0, of the number x that `number` reads and the answer a.

  A slope towards `number` for a model that is seldom right. Alone it can be gamed by a good guess.
  0 without a number; NaN where the answer holds none.
  """
  found, wanted = _found(completion), last_number(str(fields["answer"]))
  if wanted is None:
    return math.nan
  if found is None or not wanted:
    return float(found == wanted)
  return float(max(1 - abs(found - wanted) / abs(wanted), Fraction(0)))


def exact(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion is fields["answer"] and nothing else but space around it."""
  return float(completion.strip() == str(fields["answer"]).strip())


def answer_format(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion is one <think> element, then one <answer> element, and nothing else.

  Neither may be empty: tags alone are no format worth a reward.
  """
  return float(_FORMAT.fullmatch(completion) is not None)


def coin(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """0 or 1 by the hash of prompt and completion: nothing in it can be learned.

  A control: what a model gains under it, it would gain under any reward (Shao et al. 2025, Spurious
  Rewards). A hash and not a generator, so that a resumed run sees the same rewards.
  """
  return float(hashlib.sha256(f"{prompt}\0{completion}".encode(errors="replace")).digest()[0] & 1)


REWARDS: dict[str, Reward] = {
  "number": number,
  "closeness": closeness,
  "exact": exact,
  "format": answer_format,
  "random": coin,
}


def _found(completion: str) -> Fraction | None:
  return last_number(answer_of(completion, TAIL))
