"""Questions and answers in JSONL files of one's own."""

import json

import numpy as np

from grpo_jax.config import ConfigError, Questions
from grpo_jax.tasks.task import Example, Task, messages


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
    """Rows step * count and on, of an endless row of shuffled epochs."""
    rows: list[int] = []
    for place in range(step * count, (step + 1) * count):
      epoch, offset = divmod(place, len(train))
      if not rows or offset == 0:
        order = np.random.default_rng([seed, epoch]).permutation(len(train))
      rows.append(int(order[offset]))
    return [train[row] for row in rows]

  def held_out(count: int) -> list[Example]:
    if count > len(held):
      raise ConfigError(
        f"config.evaluation.problems={count}, but {config.held_out} has {len(held)} questions"
      )
    return held[:count]

  return Task(sample=sample, held_out=held_out)


def _read(path: str, config: Questions) -> list[Example]:
  expected = f"expected a JSON object with text in {config.question!r} and {config.answer!r}"
  examples: list[Example] = []
  try:
    with open(path, encoding="utf-8") as file:
      for number, line in enumerate(file, start=1):
        if line.strip():
          examples.append(_parsed(line, f"{path}:{number}", expected, config))
  except UnicodeDecodeError as error:
    raise ConfigError(
      f"{path}:{len(examples) + 1}: not UTF-8: {error.reason}; {expected}"
    ) from error
  except OSError as error:
    raise ConfigError(f"{path}: {error.strerror}; {expected} on each line") from error
  if not examples:
    raise ConfigError(f"{path}: no rows; {expected} on each line")
  return examples


def _parsed(line: str, where: str, expected: str, config: Questions) -> Example:
  try:
    row = json.loads(line)
  except (ValueError, RecursionError) as error:
    raise ConfigError(f"{where}: broken JSON ({error}); {expected}") from error
  row = row if isinstance(row, dict) else {}
  question, solution = row.get(config.question), row.get(config.answer)
  if not isinstance(question, str) or not isinstance(solution, (str, int, float)):
    raise ConfigError(f"{where}: {expected}")
  text = str(solution)
  answer = text.rsplit(config.answer_marker, 1)[-1] if config.answer_marker else text
  answer = answer.strip()
  fields = {name: value for name, value in row.items() if name != config.question}
  fields["answer"] = answer.replace(",", "") if answer[:1] in "-0123456789" else answer
  return Example(messages(config.system, question), fields, text)


def _question(example: Example) -> str:
  return " ".join(example.messages[-1]["content"].split())
