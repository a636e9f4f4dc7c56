"""Multiple choice: a question, options with letters, and which of them is right."""

import string
from typing import Any

import numpy as np

from grpo_jax.config import Choices, ConfigError
from grpo_jax.tasks.files import Reader, make_files, others, text_of
from grpo_jax.tasks.task import Example, Task, messages


def make_choices(config: Choices) -> Task:
  """Questions whose options stand in another order each time that they are asked.

  Of a held-out question the order is always the same. fields: "answer" is the right letter,
  "options" the texts as they are told.

  Raises:
    ConfigError: one line with file and line number of what cannot be used.
  """
  expected = (
    f"expected a JSON object with text in {config.question!r}, a list of 2 to 26 texts in"
    f" {config.choices!r}, and in {config.answer!r} the place, the letter or the text of one"
  )

  def example(row: dict[str, Any], where: str, rng: np.random.Generator) -> Example:
    question = text_of(row, config.question, where, expected)
    options, right = _options(row, where, expected, config)
    order = rng.permutation(len(options)).tolist()
    letters = string.ascii_uppercase[: len(options)]
    told = [options[place] for place in order]
    lines = "\n".join(f"{letter}. {text}" for letter, text in zip(letters, told, strict=True))
    text = config.form.format(question=question, options=lines)
    answer = letters[order.index(right)]
    fields = others(row, config.question, config.choices, config.answer)
    return Example(
      messages(config.system, text), {**fields, "answer": answer, "options": told}, answer
    )

  return make_files(config, Reader(expected, config.question, example))


def _options(
  row: dict[str, Any], where: str, expected: str, config: Choices
) -> tuple[list[str], int]:
  """The texts, and the place of the right one."""
  options = row.get(config.choices)
  texts = isinstance(options, list) and all(isinstance(o, str) and o.strip() for o in options)
  if not isinstance(options, list) or not texts or not 2 <= len(options) <= 26:
    raise ConfigError(f"{where}: {config.choices!r} is no list of 2 to 26 texts; {expected}")
  if len(set(options)) < len(options):
    raise ConfigError(f"{where}: {config.choices!r} has a text twice; {expected}")
  answer = row.get(config.answer)
  if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(options):
    return options, answer
  if isinstance(answer, str) and answer in options:
    return options, options.index(answer)
  letters = string.ascii_uppercase[: len(options)]
  if isinstance(answer, str) and len(answer.strip()) == 1 and answer.strip().upper() in letters:
    return options, letters.index(answer.strip().upper())
  raise ConfigError(f"{where}: {config.answer!r} is {str(answer)[:40]!r}, no option; {expected}")
