"""A task as a text, for a flag: a file of one's own, or as it would stand in an experiment file."""

import ast
import typing
from collections.abc import Callable
from typing import Any

from grpo_jax.config.fields import Config, ConfigError, unknown_field
from grpo_jax.config.made import OwnTask
from grpo_jax.config.task import Task

_TASKS: dict[str, type[Config]] = {kind.__name__: kind for kind in typing.get_args(Task)}


def read_task(text: str) -> Any:
  """The task of "my_task.py", "Countdown" or "Addition(low=0, high=30)".

  Values are literals of Python and further tasks: nothing is run.

  Raises:
    ConfigError: one line on what cannot be read.
  """
  if text.endswith(".py"):
    return OwnTask(file=text)
  try:
    node = ast.parse(text.strip(), mode="eval").body
  except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
    raise ConfigError(f"{_expected(text)} ({error})") from error
  task = _value(node)
  if not isinstance(task, Config):
    raise ConfigError(_expected(text))
  return task


def _value(node: ast.expr) -> Any:
  if isinstance(node, ast.Name):
    return _made(node.id, {})
  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.args:
    own = {word.arg or "**": _value(word.value) for word in node.keywords}
    return _made(node.func.id, own)
  if isinstance(node, ast.Dict):
    keys = [_literal(key) if key else "**" for key in node.keys]
    return dict(zip(keys, map(_value, node.values), strict=True))
  if isinstance(node, ast.Tuple | ast.List):
    kind: Callable = tuple if isinstance(node, ast.Tuple) else list
    return kind(map(_value, node.elts))
  return _literal(node)


def _made(name: str, fields: dict[str, Any]) -> Config:
  if name not in _TASKS:
    raise ConfigError(unknown_field("--task:", name, _TASKS).replace("has no field", "no task is"))
  kind = _TASKS[name]
  known = kind.__dataclass_fields__  # type: ignore[attr-defined]
  for field in fields:
    if field not in known:
      raise ConfigError(unknown_field(f"--task: {name}", field, known))
  try:
    return kind(**fields)
  except TypeError as error:  # a field that has no default, as the task of a curriculum
    raise ConfigError(f"--task: {name}: {error}") from error


def _literal(node: ast.expr) -> Any:
  try:
    return ast.literal_eval(node)
  except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
    raise ConfigError(f"--task: {ast.unparse(node)[:60]!r} is no literal of Python") from error


def _expected(text: str) -> str:
  return (
    f"--task={text[:60]!r}: expected a file as my_task.py, the name of a task, or a task with its"
    " fields, as in 'Addition(low=0, high=30)'"
  )
