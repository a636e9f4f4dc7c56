"""Problems that are solved by a program, with tests."""

import json
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError, Programs
from grpo_jax.sandbox.unit_tests import read_tests
from grpo_jax.tasks.files import Reader, make_files, others, text_of
from grpo_jax.tasks.task import Example, Task, messages


def make_programs(config: Programs) -> Task:
  """Problems with their tests, in the field "tests", which the reward "unit_tests" reads.

  Raises:
    ConfigError: one line with file and line number of what cannot be used.
  """
  expected = (
    f"expected a JSON object with text in {config.question!r} and in {config.tests!r} a list of"
    " {'call': ..., 'args': [...], 'expected': ...}"
  )

  def example(row: dict[str, Any], where: str, rng: np.random.Generator) -> Example:
    question = text_of(row, config.question, where, expected)
    try:
      tests = read_tests({"tests": row.get(config.tests)})
    except ValueError as error:
      said = " ".join(str(error).split())
      raise ConfigError(f"{where}: {config.tests!r} cannot be used: {said}; {expected}") from error
    solution = text_of(row, config.solution, where, expected) if config.solution else ""
    fields = others(row, config.question, config.tests, config.solution)
    text = config.form.format(question=question)
    return Example(
      messages(config.system, text),
      {"answer": json.dumps(tests), **fields, "tests": tests},
      solution,
    )

  return make_files(config, Reader(expected, config.question, example))
