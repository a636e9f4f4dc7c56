"""Tasks made of tasks: levels of one, and several mixed."""

import dataclasses
import re
from typing import Any

from grpo_jax.config.assistant import Assistant
from grpo_jax.config.fields import Config, children, field, unknown_field
from grpo_jax.config.files import Choices, Programs, Questions
from grpo_jax.config.made import Countdown, Gym, OwnTask
from grpo_jax.config.sums import Addition

Single = Addition | Questions | Assistant | Gym | Countdown | Choices | Programs | OwnTask
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclasses.dataclass(kw_only=True)
class Curriculum(Config):
  """One task, harder as it is solved: the share of right answers says when.

  An answer is right where evaluation.reward gives it full marks: a stage of GRPO needs that reward.

  levels: fields of the task, each with its value at every level, as in {"high": (9, 99, 999)}; of a
    Gym task they are its `fields`, and without any its levels are those that reasoning-gym has.
  start: the level at which a stage begins, from 0.
  window: prompts of a level, the last of which the share is taken over, before it can change.
  up, down: the share from which on the level rises, and below which it falls; in [0, 1].
  """

  task: Single
  levels: dict[str, tuple[Any, ...]] = field(dict)
  start: int = field(0, least=0)
  window: int = field(32, least=1)
  up: float = field(0.8, above=0, most=1)
  down: float = field(0.0, least=0, below=1)

  @property
  def own_rewards(self) -> tuple[str, ...]:
    """The rewards that "task" stands for."""
    return self.task.own_rewards

  def contradictions(self) -> list[str]:
    problems = []
    if self.down >= self.up:
      problems.append(f"down={self.down} must be below up={self.up}")
    if not self.levels and not isinstance(self.task, Gym):
      problems.append("levels is empty: name a field with its values, as in {'high': (9, 99)}")
    lengths = {name: len(values) for name, values in self.levels.items()}
    if lengths and (len(set(lengths.values())) > 1 or min(lengths.values()) < 2):
      problems.append(f"levels have {lengths} values: each needs as many as there are levels, 2 on")
    elif lengths and self.start >= min(lengths.values()):
      problems.append(f"start={self.start}: there are {min(lengths.values())} levels, from 0")
    if not isinstance(self.task, Gym):
      known = children(self.task)
      problems += [
        unknown_field("levels", name, known) for name in self.levels if name not in known
      ]
    return problems


@dataclasses.dataclass(kw_only=True)
class Mixture(Config):
  """Several tasks, one of which is drawn for each prompt.

  tasks: each by a name of letters, digits, - and _; figures are told of each.
  weights: how often each is drawn, relative to the others; empty is all alike. Evaluation asks
    them in turn, whatever their weights are.
  """

  tasks: dict[str, Single | Curriculum] = field(dict)
  weights: dict[str, float] = field(dict)

  @property
  def own_rewards(self) -> tuple[str, ...]:
    """The rewards that "task" stands for."""
    return tuple(dict.fromkeys(name for task in self.tasks.values() for name in task.own_rewards))

  def contradictions(self) -> list[str]:
    problems = [] if self.tasks else ["tasks is empty: name at least one"]
    problems += [
      f"tasks has {name!r}: a name is letters, digits, - and _, a letter first"
      for name in self.tasks
      if not _NAME.fullmatch(name)
    ]
    if self.weights and self.weights.keys() != self.tasks.keys():
      problems.append(
        f"weights are of {', '.join(self.weights)}, and tasks of {', '.join(self.tasks)}: give each"
        " its weight, or none"
      )
    elif self.weights and (min(self.weights.values()) < 0 or not sum(self.weights.values())):
      problems.append(f"weights={self.weights}: must be 0 or more, and not all 0")
    return problems
