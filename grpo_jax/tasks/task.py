"""What every task gives."""

import dataclasses
from collections.abc import Callable
from typing import Any

from grpo_jax.tasks.environment import Episode


@dataclasses.dataclass(frozen=True)
class Example:
  """One thing to ask.

  messages: role and content of each turn, the question last.
  fields: what rewards read; "answer" at least.
  solution: what supervised fine-tuning learns to say; empty is nothing.
  turns: the same of a whole episode in an environment, in place of the solution.
  """

  messages: list[dict[str, str]]
  fields: dict[str, Any]
  solution: str = ""
  turns: tuple[str, ...] = ()

  @property
  def question(self) -> str:
    """The text of the last turn."""
    return str(self.messages[-1]["content"])


@dataclasses.dataclass(frozen=True)
class Pair:
  """Two answers to one question, of which the first is preferred."""

  example: Example
  chosen: str
  rejected: str


@dataclasses.dataclass(frozen=True)
class Task:
  """Where examples come from.

  sample: (seed, step, count) -> the examples of that step; the same in any process at any time.
  held_out: count -> the first `count` of a fixed list that training never sees.
  documents, pairs: (seed, step, count) -> plain texts to pretrain on, and preferences to train a
    reward model on, where the task has them; a negative step gives held-out ones.
  reset: an example -> its episode, where the task is an environment.
  """

  sample: Callable[[int, int, int], list[Example]]
  held_out: Callable[[int], list[Example]]
  documents: Callable[[int, int, int], list[str]] | None = None
  pairs: Callable[[int, int, int], list[Pair]] | None = None
  reset: Callable[[Example], Episode] | None = None


def messages(system: str, question: str) -> list[dict[str, str]]:
  """A question, after a system message where there is one."""
  start = [{"role": "system", "content": system}] if system else []
  return [*start, {"role": "user", "content": question}]
