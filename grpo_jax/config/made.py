"""Tasks whose questions are made, by a library, by rule, or by a file of one's own."""

import dataclasses
from typing import Any

from grpo_jax.config.fields import field
from grpo_jax.config.files import Rewarded


@dataclasses.dataclass(kw_only=True)
class Gym(Rewarded):
  """A task of reasoning-gym, by its name there.

  name: as in "chain_sum". fields: of the task's own config, as in {"min_terms": 2}; the others are
    as reasoning-gym has them.
  reward: "gym" is the task's own scorer, "gym_exact" 1 where it gives full marks and 0 elsewhere.
  """

  name: str = "chain_sum"
  fields: dict[str, Any] = field(dict)
  system: str = ""
  reward: str = "gym"

  def contradictions(self) -> list[str]:
    return [
      f"fields[{name!r}] is the run's: what is asked follows from config.seed and the step"
      for name in ("seed", "size")
      if name in self.fields
    ]


@dataclasses.dataclass(kw_only=True)
class Countdown(Rewarded):
  """Make a target out of some numbers with + - * /, each used exactly once; it can always be done.

  numbers: how many there are. low, high: the range of each; most: the largest target, from 1.
  question: the user's message, with {numbers} and {target}.
  """

  numbers: int = field(4, least=2, most=8)
  low: int = field(1, least=1)
  high: int = field(25, least=2)
  most: int = field(100, least=1)
  question: str = "Use each of {numbers} once, with + - * / and brackets, to make {target}."
  system: str = ""
  reward: str = "countdown"

  def contradictions(self) -> list[str]:
    problems = []
    if self.low >= self.high:
      problems.append(f"low={self.low} must be below high={self.high}")
    if "{numbers}" not in self.question or "{target}" not in self.question:
      problems.append(f"question={self.question!r} must contain {{numbers}} and {{target}}")
    return problems


@dataclasses.dataclass(kw_only=True)
class OwnTask(Rewarded):
  """A task in a Python file, by its path, or in a module that is imported, by its name, as __main__
  is in a notebook: two functions, see `tasks.own`.

  fields: further arguments of both, by name.
  held_out: how many questions are held out, for evaluation.problems to take from.
  environment: a class of the file that answers what the model writes, see `tasks.environment`; what
    an episode is worth it says itself, as the reward "episode". Empty: the question is all.
  """

  file: str = ""
  fields: dict[str, Any] = field(dict)
  held_out: int = field(200, least=1)
  system: str = ""
  environment: str = ""

  @property
  def own_rewards(self) -> tuple[str, ...]:
    """The rewards that "task" stands for: of an environment none."""
    return () if self.environment else (self.reward,)

  def contradictions(self) -> list[str]:
    return [] if self.file else ["file must name a Python file"]
