"""Questions and answers in files of one's own, JSONL or Parquet."""

import json
import math
import re
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.files import Reader, make_files, others
from grpo_jax.tasks.rows import found
from grpo_jax.tasks.task import Example, Task, messages

_THOUSANDS = re.compile(r"[-+]?[$€£]?\d{1,3}(,\d{3})+(\.\d+)?")


def make_questions(config: Questions) -> Task:
  """Questions with their answers, as `files.make_files` deals them out.

  Raises:
    ConfigError: one line with file and line number of what cannot be used.
  """
  expected = f"expected a JSON object with text in {config.question!r} and {config.answer!r}"

  def example(row: dict[str, Any], where: str, rng: np.random.Generator) -> Example:
    return _example(row, where, expected, config)

  return make_files(config, Reader(expected, config.question, example))


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
  fields = others(row, config.question)
  fields["answer"] = answer.replace(",", "") if _THOUSANDS.fullmatch(answer) else answer
  return Example(messages(config.system, question), fields, solution)
