"""Texts and chats in files of one's own."""

from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError, Texts
from grpo_jax.tasks.rows import found, read_rows

# Where it stands in its file, and what it is.
Text = tuple[str, str]
Chat = tuple[str, list[dict[str, str]]]


def read_texts(config: Texts) -> tuple[list[Text], list[Text]]:
  """Training and held-out texts, in the files' order.

  Raises:
    ConfigError: one line with file and row number of what cannot be used; a text stands in both.
  """
  expected = f"expected a JSON object with text in {config.column!r}"
  return _both(config, expected, _text)


def read_chats(config: Texts) -> tuple[list[Chat], list[Chat]]:
  """Training and held-out chats, in the files' order: role and content of each turn.

  Raises:
    ConfigError: as `read_texts`; also a chat that does not end with the assistant's words.
  """
  expected = (
    f"expected a JSON object with a list of {{'role': ..., 'content': ...}} in {config.column!r}"
  )
  return _both(config, expected, _chat)


def _both(config: Texts, expected: str, read: Callable) -> Any:
  train, held = (
    [(where, _column(row, where, expected, config.column, read)) for where, row in rows]
    for rows in (read_rows(p, expected, [config.column]) for p in (config.train, config.held_out))
  )
  known = {str(value) for _, value in train}
  both = [where for where, value in held if str(value) in known]
  if both:
    raise ConfigError(
      f"{len(both)} rows of {config.held_out} stand in {config.train} too, the first at {both[0]}:"
      " held-out texts must not be trained on"
    )
  return train, held


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
