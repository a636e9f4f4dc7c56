"""Texts and chats in files of one's own."""

from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError, Texts
from grpo_jax.tasks.rows import found
from grpo_jax.tasks.sides import Divided, read_sides

# Where it stands in its file, and what it is.
Text = tuple[str, str]
Chat = tuple[str, list[dict[str, str]]]


def read_texts(config: Texts) -> Divided[Text]:
  """Training and held-out texts.

  Raises:
    ConfigError: as `sides.read_sides`.
  """
  return _read(config, f"expected a JSON object with text in {config.column!r}", _text)


def read_chats(config: Texts) -> Divided[Chat]:
  """Training and held-out chats: role and content of each turn.

  Raises:
    ConfigError: as `read_texts`; also a chat that does not end with the assistant's words.
  """
  expected = (
    f"expected a JSON object with a list of {{'role': ..., 'content': ...}} in {config.column!r}"
  )
  return _read(config, expected, _chat)


def _read(config: Texts, expected: str, read: Callable) -> Divided:
  def value(where: str, row: dict[str, Any]) -> tuple[str, Any]:
    return where, _column(row, where, expected, config.column, read)

  return read_sides(config, expected, value, lambda row: str(row[1]), [config.column])


def _column(row: dict[str, Any], where: str, expected: str, column: str, read: Callable) -> Any:
  """What the row has in its column, as `read` takes it."""
  try:
    return read(row.get(column))
  except TypeError as error:
    raise ConfigError(f"{where}: {expected}, found {found(row)}") from error
  except ValueError as error:
    raise ConfigError(f"{where}: {column!r} {error}; {expected}") from error


def _text(value: Any) -> str:
  """Raises TypeError where the value is no text, ValueError with what is wrong with it."""
  if not isinstance(value, str):
    raise TypeError
  if not value.strip():
    raise ValueError("is empty")
  return value


def _chat(value: Any) -> list[dict[str, str]]:
  """Role and content of each turn; raises as `_text`."""
  if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
    raise TypeError
  chat = [{name: turn.get(name) for name in ("role", "content")} for turn in value]
  if not all(isinstance(part, str) for turn in chat for part in turn.values()):
    raise ValueError("has a turn without role or content")
  if not chat or chat[-1]["role"] != "assistant":
    raise ValueError("does not end with the assistant's words")
  if not all(turn["content"].strip() for turn in chat if turn["role"] == "assistant"):
    raise ValueError("has an empty answer of the assistant")
  return chat
