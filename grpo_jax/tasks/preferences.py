"""Preferences in files of one's own."""

from typing import Any

from grpo_jax.config import ConfigError, Preferences
from grpo_jax.tasks.rows import found, read_rows
from grpo_jax.tasks.task import Example, Pair, messages


def read_preferences(config: Preferences) -> tuple[list[Pair], list[Pair]]:
  """Training and held-out pairs, in the files' order.

  Raises:
    ConfigError: one line with file and row number of what cannot be used; a question stands in both
      files.
  """
  train, held = (_read(path, config) for path in (config.train, config.held_out))
  both = {pair.example.question for pair in train} & {pair.example.question for pair in held}
  if both:
    raise ConfigError(
      f"{len(both)} questions stand in {config.train} and in {config.held_out}, the first:"
      f" {sorted(both)[0][:80]!r}: held-out questions must not be trained on"
    )
  return train, held


def _read(path: str, config: Preferences) -> list[Pair]:
  columns = (config.prompt, config.chosen, config.rejected)
  expected = "expected a JSON object with text in " + ", ".join(map(repr, columns))
  return [
    _pair(row, where, expected, config, columns)
    for where, row in read_rows(path, expected, list(columns))
  ]


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
