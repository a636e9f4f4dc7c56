"""What every task gives."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grpo_jax.tasks.environment import Episode


@dataclasses.dataclass(frozen=True)
class Example:
  """One thing to ask.

  messages: role and content of each turn, the question last.
  fields: what rewards read; "answer" at least.
  solution: what supervised fine-tuning learns to say; empty is nothing.
  task: its task's name in a mixture; empty is none.
  level: of its task's curriculum; None is none.
  reward: its own reward, which the one called "task" stands for; empty is that of `Task.reward`.
  turns: the same of a whole episode in an environment, in place of the solution.
  """

  messages: list[dict[str, str]]
  fields: dict[str, Any]
  solution: str = ""
  task: str = ""
  level: int | None = None
  reward: str = ""
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
class Ladder:
  """How the level of a curriculum moves: fields as of `config.Curriculum`; levels, how many."""

  levels: int
  start: int
  window: int
  up: float
  down: float


def never(question: str) -> bool:
  """Holds nothing out."""
  return False


@dataclasses.dataclass(frozen=True)
class Task:
  """Where examples come from.

  sample: (seed, step, count) -> the examples of that step; the same in any process at any time.
  held_out: count -> the first `count` of a fixed list that training never sees.
  documents, pairs: (seed, step, count) -> plain texts to pretrain on, and preferences to train a
    reward model on, where the task has them; a negative step gives held-out ones.
  is_held: whether a question is one that the task keeps from training, whatever is evaluated.
  reward: the task's own, which the reward called "task" stands for.
  names: of the tasks that are mixed.
  ladders: of the curricula in it, by the name in the mixture, "" of a task by itself.
  at: levels by name -> the task with these levels, where there are ladders.
  notes: lines for a person, as of rows that were left out.
  reset: an example -> its episode, where the task is an environment.
  """

  sample: Callable[[int, int, int], list[Example]]
  held_out: Callable[[int], list[Example]]
  documents: Callable[[int, int, int], list[str]] | None = None
  pairs: Callable[[int, int, int], list[Pair]] | None = None
  is_held: Callable[[str], bool] = never
  reward: str = "number"
  names: tuple[str, ...] = ()
  ladders: Mapping[str, Ladder] = dataclasses.field(default_factory=dict)
  at: Callable[[Mapping[str, int]], "Task"] | None = None
  notes: tuple[str, ...] = ()
  reset: Callable[[Example], Episode] | None = None


def messages(system: str, question: str) -> list[dict[str, str]]:
  """A question, after a system message where there is one."""
  start = [{"role": "system", "content": system}] if system else []
  return [*start, {"role": "user", "content": question}]
