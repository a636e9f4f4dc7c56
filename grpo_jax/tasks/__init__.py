"""Tasks: what is asked, and what a reward needs to check an answer."""

from grpo_jax.config import Addition, Assistant, Calculator, Guess, Questions
from grpo_jax.config import Task as TaskConfig
from grpo_jax.tasks.addition import make_addition
from grpo_jax.tasks.assistant import make_assistant
from grpo_jax.tasks.calculator import make_calculator
from grpo_jax.tasks.environment import Episode, FileEpisode, Turn
from grpo_jax.tasks.guess import make_guess
from grpo_jax.tasks.questions import make_questions
from grpo_jax.tasks.task import Example, Pair, Task

__all__ = ["Episode", "Example", "FileEpisode", "Pair", "Task", "Turn", "build"]

_TASKS = {
  Addition: make_addition,
  Assistant: make_assistant,
  Calculator: make_calculator,
  Guess: make_guess,
  Questions: make_questions,
}


def build(config: TaskConfig) -> Task:
  """The task that a config describes; data files are read and checked here."""
  return _TASKS[type(config)](config)  # type: ignore[operator]
