"""The final answer in a completion, as the reward that judges it reads it: what a vote counts."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from grpo_jax.isolated.found import answer_of
from grpo_jax.rewards.assistant import plain
from grpo_jax.rewards.choice import letter
from grpo_jax.rewards.numbers import TAIL, last_number

_GYM_TAIL = 20_000  # as `isolated.gym` has it
# (completion, the task's fields) -> the answer, None where there is none
Final = Callable[[str, Mapping[str, Any]], Hashable | None]


def _number(completion: str, fields: Mapping[str, Any]) -> Hashable | None:
  return last_number(answer_of(completion, TAIL))


def _whole(completion: str, fields: Mapping[str, Any]) -> Hashable | None:
  return completion.strip() or None


def _said(completion: str, fields: Mapping[str, Any]) -> Hashable | None:
  return plain(completion) or None


def _element(completion: str, fields: Mapping[str, Any]) -> Hashable | None:
  return answer_of(completion, _GYM_TAIL) or None


# Completions of one final answer have one score. Rewards that are not here judge more than an
# answer (programs, formats), or count as equal what differs as text (math, expressions).
FINAL: dict[str, Final] = {
  "number": _number,
  "closeness": _number,
  "exact": _whole,
  "choice": letter,
  "gold": _said,
  "gym": _element,
  "gym_exact": _element,
}
