"""Tasks: what is asked, and what a reward needs to check an answer."""

from grpo_jax.config import (
  Addition,
  Assistant,
  Calculator,
  Choices,
  Countdown,
  Curriculum,
  Guess,
  Gym,
  Mixture,
  OwnTask,
  Programs,
  Questions,
)
from grpo_jax.config import Task as TaskConfig
from grpo_jax.tasks.addition import make_addition
from grpo_jax.tasks.assistant import make_assistant
from grpo_jax.tasks.calculator import make_calculator
from grpo_jax.tasks.choices import make_choices
from grpo_jax.tasks.countdown import make_countdown
from grpo_jax.tasks.curriculum import make_curriculum
from grpo_jax.tasks.environment import Episode, FileEpisode, Turn
from grpo_jax.tasks.guess import make_guess
from grpo_jax.tasks.gym import make_gym
from grpo_jax.tasks.mixture import make_mixture
from grpo_jax.tasks.own import make_own
from grpo_jax.tasks.programs import make_programs
from grpo_jax.tasks.questions import make_questions
from grpo_jax.tasks.task import Example, Ladder, Pair, Task

__all__ = [
  "Episode",
  "Example",
  "FileEpisode",
  "Ladder",
  "Pair",
  "Task",
  "Turn",
  "build",
]

_TASKS = {
  Addition: make_addition,
  Assistant: make_assistant,
  Choices: make_choices,
  Countdown: make_countdown,
  Gym: make_gym,
  OwnTask: make_own,
  Programs: make_programs,
  Calculator: make_calculator,
  Guess: make_guess,
  Questions: make_questions,
}


def build(config: TaskConfig) -> Task:
  """The task that a config describes; data files are read and checked here."""
  if isinstance(config, Mixture):
    return make_mixture(config, build)
  if isinstance(config, Curriculum):
    return make_curriculum(config, build)
  return _TASKS[type(config)](config)  # type: ignore[operator]
