"""Questions and answers in JSONL files of one's own."""

import codecs
import json
import re

import numpy as np

from grpo_jax.config import ConfigError, Questions
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
    return [train[row] for row in _rows(len(train), seed, step, count)]

  def held_out(count: int) -> list[Example]:
    if count > len(held):
      raise ConfigError(
        f"config.evaluation.problems={count}, but {config.held_out} has {len(held)} questions"
      )
    return held[:count]

  return Task(sample=sample, held_out=held_out)


def _rows(total: int, seed: int, step: int, count: int) -> list[int]:
  """Rows of one step: each epoch is a shuffle of its own, dealt out in whole steps.

  What is left of an epoch is less than a step: it waits for the next shuffle, so that no step has a
  row twice. Only a step of more rows than there are repeats some.
  """
  steps = max(total // count, 1)  # an epoch's
  epoch, place = divmod(step, steps)
  order = np.random.default_rng([seed, epoch]).permutation(total)
  return [int(order[row % total]) for row in range(place * count, (place + 1) * count)]


def _read(path: str, config: Questions) -> list[Example]:
  expected = f"expected a JSON object with text in {config.question!r} and {config.answer!r}"
  try:
    with open(path, "rb") as file:
      lines = file.read().removeprefix(codecs.BOM_UTF8).split(b"\n")
  except OSError as error:
    raise ConfigError(f"{path}: {error.strerror}; {expected} on each line") from error
  examples = [
    _parsed(line, f"{path}:{number}", expected, config)
    for number, line in enumerate(lines, start=1)
    if line.strip()
  ]
  if not examples:
    raise ConfigError(f"{path}: no rows; {expected} on each line")
  return examples


def _parsed(line: bytes, where: str, expected: str, config: Questions) -> Example:
  try:
    row = json.loads(line.decode())
    json.dumps(row, ensure_ascii=False).encode()  # "\ud800" alone is no text to give a tokenizer
  except (UnicodeDecodeError, UnicodeEncodeError) as error:
    raise ConfigError(f"{where}: not UTF-8: {error.reason}; {expected}") from error
  except (ValueError, RecursionError) as error:
    raise ConfigError(f"{where}: broken JSON ({error}); {expected}") from error
  row = row if isinstance(row, dict) else {}
  question, solution = row.get(config.question), row.get(config.answer)
  if isinstance(solution, (int, float)) and not isinstance(solution, bool):
    solution = json.dumps(solution)
  if not isinstance(question, str) or not isinstance(solution, str):
    raise ConfigError(f"{where}: {expected}, found {_found(row)}")
  answer = solution.rsplit(config.answer_marker, 1)[-1] if config.answer_marker else solution
  answer = answer.strip()
  if not question.strip() or not answer:
    empty = config.answer if question.strip() else config.question
    raise ConfigError(f"{where}: {empty!r} is empty; {expected}")
  fields = {name: value for name, value in row.items() if name != config.question}
  fields["answer"] = answer.replace(",", "") if _THOUSANDS.fullmatch(answer) else answer
  return Example(messages(config.system, question), fields, solution)


def _found(row: dict[str, object]) -> str:
  return ", ".join(map(repr, row))[:80] or "none"


def _question(example: Example) -> str:
  return " ".join(example.messages[-1]["content"].split())
