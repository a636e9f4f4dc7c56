"""A task of one's own in a Python file.

The file has two functions:

  sample(seed, step, count, **fields) -> `count` questions of that step
  held_out(count, **fields) -> `count` questions that are never trained on

A question is a dict: "question", a text, or "messages", a list of role and content; "answer" and
whatever else rewards read; and where there is something to learn from, "solution", or of an
environment "turns", what the model should write in each.
"""

from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError, OwnTask
from grpo_jax.isolated.files import LoadError, load
from grpo_jax.tasks.apart import apart, key_of
from grpo_jax.tasks.environment import file_environment
from grpo_jax.tasks.task import Example, Task, messages

_CHECKED = 2  # questions that are asked for, twice, before a run begins


def make_own(config: OwnTask) -> Task:
  """The task of the file; what its `held_out` gives is kept from training, but of an environment.

  Raises:
    ConfigError: one line: the file cannot be read, lacks a function, or one gives something else
      than questions or not the same ones twice.
  """
  functions = [_function(config, name) for name in ("sample", "held_out")]
  draw, hold = functions

  def sample(seed: int, step: int, count: int) -> list[Example]:
    return _called(config, "sample", draw, (seed, step, count))

  held = _called(config, "held_out", hold, (config.held_out,))
  keys = {key_of(example.question) for example in held}

  def is_held(question: str) -> bool:
    return key_of(question) in keys

  def held_out(count: int) -> list[Example]:
    if count > len(held):
      raise ConfigError(
        f"config.evaluation.problems={count}: config.task.held_out={len(held)} are held out"
      )
    return held[:count]

  for arguments in ((0, 0, _CHECKED), (0, 1, 1)):
    if sample(*arguments) != sample(*arguments):
      raise ConfigError(
        f"{config.file}: sample{arguments} gives other questions the second time: it must depend on"
        " its arguments alone"
      )
  if config.environment:  # its questions may all be one, and what differs is not told
    return Task(sample, held_out, reset=file_environment(f"{config.file}:{config.environment}"))
  kept = apart(sample, is_held, config.file)
  return Task(kept, held_out, is_held=is_held, reward=config.reward)


def _function(config: OwnTask, name: str) -> Callable[..., Any]:
  try:
    found = getattr(load(config.file), name, None)
  except LoadError as error:
    raise ConfigError(f"config.task.file: {error}") from error
  if not callable(found):
    raise ConfigError(f"{config.file} has no function {name!r}: a task has sample and held_out")
  return found


def _called(
  config: OwnTask, name: str, function: Callable[..., Any], arguments: tuple[int, ...]
) -> list[Example]:
  """The examples that a function gives."""
  call = f"{config.file}: {name}({', '.join(map(str, arguments))})"
  try:
    rows = function(*arguments, **config.fields)
  except (Exception, SystemExit) as error:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    raise ConfigError(f"{call} raises {said}") from error
  if not isinstance(rows, list) or len(rows) != arguments[-1]:
    found = f"a list of {len(rows)}" if isinstance(rows, list) else type(rows).__name__
    raise ConfigError(f"{call} gives {found}: expected a list of {arguments[-1]} dicts")
  return [_example(config, row, f"{call}[{place}]") for place, row in enumerate(rows)]


def _example(config: OwnTask, row: Any, where: str) -> Example:
  if not isinstance(row, dict):
    raise ConfigError(f"{where} is no dict with a text in 'question', but {type(row).__name__}")
  fields = {key: value for key, value in row.items() if key not in ("question", "messages")}
  solution = fields.pop("solution", "")
  if not isinstance(solution, str):
    raise ConfigError(f"{where}['solution'] is no text, but {type(solution).__name__}")
  turns = tuple(fields.pop("turns", ())) if config.environment else ()
  if not all(isinstance(turn, str) for turn in turns):
    raise ConfigError(f"{where}['turns'] must be a list of texts, one for each turn of the model")
  if "messages" in row:
    return Example(_turns(row["messages"], where), {"answer": "", **fields}, solution, turns=turns)
  question = row.get("question")
  if not isinstance(question, str) or not question.strip():
    raise ConfigError(f"{where} has no text in 'question'; it has {', '.join(map(repr, row))}")
  return Example(messages(config.system, question), {"answer": "", **fields}, solution, turns=turns)


def _turns(value: Any, where: str) -> list[dict[str, str]]:
  turns = value if isinstance(value, list) else []
  whole = all(
    isinstance(turn, dict)
    and turn.keys() == {"role", "content"}
    and all(isinstance(part, str) for part in turn.values())
    for turn in turns
  )
  if not turns or not whole or turns[-1]["role"] != "user":
    raise ConfigError(
      f"{where}['messages'] must be a list of {{'role': ..., 'content': ...}}, the user's last"
    )
  return [dict(turn) for turn in turns]
