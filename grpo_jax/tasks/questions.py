"""Questions and answers in files of one's own, JSONL or Parquet."""

import json
import math
import re
from typing import Any

from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.rows import found, read_rows, step_rows
from grpo_jax.tasks.task import Example, Task, messages

_THOUSANDS = re.compile(r"[-+]?[$€£]?\d{1,3}(,\d{3})+(\.\d+)?")


def make_questions(config: Questions) -> Task:
  """Reads both files; refuses a question that stands in both.

  Raises:
    ConfigError: one line with file and line number of what cannot be used.
  """
  train, held = _read(config.train, config), _read(config.held_out, config)
  overlap = {_question(example) for example in train} & {_question(example) for example in held}
  if overlap:
    raise ConfigError(
      f"{len(overlap)} questions stand in {config.train} and in {config.held_out}, the first:"
      f" {sorted(overlap)[0][:80]!r}: held-out questions must not be trained on"
    )

  def sample(seed: int, step: int, count: int) -> list[Example]:
    return [train[row] for row in step_rows(len(train), seed, step, count)]

  def held_out(count: int) -> list[Example]:
    if count > len(held):
      raise ConfigError(
        f"config.evaluation.problems={count}, but {config.held_out} has {len(held)} questions"
      )
    return held[:count]

  return Task(sample=sample, held_out=held_out)


def _read(path: str, config: Questions) -> list[Example]:
  expected = f"expected a JSON object with text in {config.question!r} and {config.answer!r}"
  return [_example(row, where, expected, config) for where, row in read_rows(path, expected)]


def _example(row: dict[str, Any], where: str, expected: str, config: Questions) -> Example:
  question, solution = row.get(config.question), row.get(config.answer)
  finite = not isinstance(solution, float) or math.isfinite(solution)  # NaN is an empty cell
  if isinstance(solution, (int, float)) and not isinstance(solution, bool) and finite:
    solution = json.dumps(solution)
  if not isinstance(question, str) or not isinstance(solution, str):
    raise ConfigError(f"{where}: {expected}, found {found(row)}")
  answer = solution.rsplit(config.answer_marker, 1)[-1] if config.answer_marker else solution
  answer = answer.strip()
  if not question.strip() or not answer:
    empty = config.answer if question.strip() else config.question
    raise ConfigError(f"{where}: {empty!r} is empty; {expected}")
  fields = {name: value for name, value in row.items() if name != config.question}
  fields["answer"] = answer.replace(",", "") if _THOUSANDS.fullmatch(answer) else answer
  return Example(messages(config.system, question), fields, solution)


def _question(example: Example) -> str:
  return " ".join(example.messages[-1]["content"].split())
