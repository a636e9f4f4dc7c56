"""The levels of curricula, by what was answered right so far."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from grpo_jax.run.answers import Answers
from grpo_jax.tasks import Ladder, Task


class Levels:
  """Where each curriculum stands; follows from the records of samples.jsonl alone.

  Args:
    ladders: of each curriculum by its task's name.
    past: records of the stage's earlier steps, in order.
  """

  def __init__(self, ladders: Mapping[str, Ladder], past: Iterable[Mapping[str, Any]] = ()):
    self._ladders = dict(ladders)
    self._levels = {name: ladder.start for name, ladder in self._ladders.items()}
    # Right answers and scored ones of each prompt since the level was reached, the last ones.
    self._seen: dict[str, list[tuple[int, int]]] = {name: [] for name in self._ladders}
    step: int | None = None
    for record in past if self._ladders else ():
      if step is not None and record["step"] != step:
        self._move()
      step = record["step"]
      self._add(record.get("task", ""), record["right"])
    if step is not None:
      self._move()

  def task(self, task: Task) -> Task:
    """The task at the levels as they are."""
    return task if task.at is None else task.at(self._levels)

  def note(self, answers: Answers, judge: str) -> None:
    """Counts the answers of a step, and moves; `judge` names the reward that says what is right."""
    if not self._ladders:
      return
    for example, right in zip(answers.examples, rights(answers, judge) or (), strict=True):
      self._add(example.task, right)
    self._move()

  def _add(self, name: str, right: list[int | None]) -> None:
    if name in self._ladders:
      known = [one for one in right if one is not None]
      self._seen[name].append((sum(known), len(known)))

  def _move(self) -> None:
    """Goes up or down by one where the last prompts of the level say so."""
    for name, ladder in self._ladders.items():
      last = self._seen[name] = self._seen[name][-ladder.window :]
      right, scored = (sum(column) for column in zip(*last, strict=True)) if last else (0, 0)
      if len(last) < ladder.window or not scored:
        continue
      up, down = right >= ladder.up * scored, right < ladder.down * scored
      level = min(max(self._levels[name] + up - down, 0), ladder.levels - 1)
      if level != self._levels[name]:
        self._levels[name], self._seen[name] = level, []


def rights(answers: Answers, judge: str) -> list[list[int | None]] | None:
  """1, 0, or None without a score, of each answer by the reward that says what is right.

  None where the stage has no such reward.
  """
  scores = answers.scores.parts.get(judge)
  if scores is None:
    return None
  return [[None if np.isnan(one) else int(one >= 1) for one in group] for group in scores]


def task_figures(answers: Answers, judge: str) -> dict[str, float]:
  """What a step says of its task, and of each of a mixture.

  task/right: share of the scored answers with full marks by evaluation.reward, where the stage has
  that reward. task/level: of a curriculum. Of each task of a mixture: reward/NAME/mean, the share
  task/NAME/share of the prompts, task/NAME/right and task/NAME/level.
  """
  everyone = np.ones(len(answers.examples), bool)
  figures = _own_figures(answers, judge, "task", everyone)
  for name in dict.fromkeys(example.task for example in answers.examples if example.task):
    rows = np.array([example.task == name for example in answers.examples])
    total = answers.scores.total[rows]
    figures[f"reward/{name}/mean"] = _mean(total)
    figures[f"task/{name}/share"] = float(rows.mean())
    figures |= _own_figures(answers, judge, f"task/{name}", rows)
  return figures


def _own_figures(answers: Answers, judge: str, path: str, rows: np.ndarray) -> dict[str, float]:
  own = [example for example, chosen in zip(answers.examples, rows, strict=True) if chosen]
  figures = {}
  if (scores := answers.scores.parts.get(judge)) is not None:
    known = scores[rows][~np.isnan(scores[rows])]
    figures[f"{path}/right"] = _mean((known >= 1).astype(np.float32))
  levels = {example.level for example in own}
  if len(levels) == 1 and None not in levels and len({example.task for example in own}) == 1:
    figures[f"{path}/level"] = float(next(iter(levels)) or 0)
  return figures


def task_records(answers: Answers, judge: str) -> list[dict[str, Any]]:
  """What is added to each prompt's record in samples.jsonl: of a mixture or a curriculum."""
  found = rights(answers, judge) if any(e.level is not None for e in answers.examples) else None
  return [
    ({"task": example.task} if example.task else {})
    | ({} if example.level is None else {"level": example.level})
    | ({} if found is None else {"right": found[row]})
    for row, example in enumerate(answers.examples)
  ]


def _mean(values: np.ndarray) -> float:
  """Of what is no NaN; NaN where that is nothing."""
  known = values[~np.isnan(values)]
  return float(known.mean()) if known.size else float("nan")
