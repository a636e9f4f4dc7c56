"""Questions that are solved often enough not to be asked again."""

from collections.abc import Iterable, Mapping
from typing import Any

from grpo_jax.run.answers import Answers
from grpo_jax.run.stage import Setting
from grpo_jax.tasks import Example, Task


class Solved:
  """Mean reward of every question so far; the questions themselves are the keys."""

  def __init__(self, retire_at: float, past: Iterable[Mapping[str, Any]]):
    self._retire_at = retire_at
    self._sums: dict[str, tuple[float, int]] = {}
    for record in past if retire_at else ():
      self._add(record["prompt"], record["rewards"])

  def choose(self, setting: Setting, task: Task, step: int, count: int) -> list[Example]:
    """`count` examples of the step of a task, none of them retired while there are others."""
    seed, drawn = setting.experiment.seed, count * (2 if self._retire_at else 1)
    examples = task.sample(seed, setting.steps_before + step, drawn)
    return sorted(examples, key=lambda example: self._retired(example.question))[:count]

  def note(self, answers: Answers) -> None:
    """Counts the rewards of a step."""
    if self._retire_at:
      for example, rewards in zip(answers.examples, answers.scores.total, strict=True):
        self._add(example.question, rewards.tolist())

  def _add(self, question: str, rewards: list[float | None]) -> None:
    known = [reward for reward in rewards if reward is not None and reward == reward]
    total, count = self._sums.get(question, (0.0, 0))
    self._sums[question] = (total + sum(known), count + len(known))

  def _retired(self, question: str) -> bool:
    total, count = self._sums.get(question, (0.0, 0))
    return count > 0 and total >= self._retire_at * count
