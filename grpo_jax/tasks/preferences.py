"""Preferences in files of one's own."""

from typing import Any

from grpo_jax.config import ConfigError, Preferences
from grpo_jax.tasks.rows import found
from grpo_jax.tasks.sides import Divided, read_sides
from grpo_jax.tasks.task import Example, Pair, messages


def read_preferences(config: Preferences) -> Divided[Pair]:
  """Training and held-out pairs.

  Raises:
    ConfigError: as `sides.read_sides`; a question that is held out must not be trained on.
  """
  columns = (config.prompt, config.chosen, config.rejected)
  expected = "expected a JSON object with text in " + ", ".join(map(repr, columns))
  pair = lambda where, row: _pair(row, where, expected, config, columns)  # noqa: E731
  return read_sides(config, expected, pair, lambda pair: pair.example.question, columns)


def _pair(
  row: dict[str, Any], where: str, expected: str, config: Preferences, columns: tuple[str, ...]
) -> Pair:
  values = [row.get(name) for name in columns]
  if not all(isinstance(value, str) and value.strip() for value in values):
    raise ConfigError(f"{where}: {expected}, found {found(row)}")
  prompt, chosen, rejected = map(str, values)
  if chosen == rejected:
    raise ConfigError(f"{where}: {config.chosen!r} and {config.rejected!r} are the same")
  return Pair(Example(messages(config.system, prompt), {}), chosen, rejected)
