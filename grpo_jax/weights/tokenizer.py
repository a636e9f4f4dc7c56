"""Tokenizers: those that come with weights, and one of single characters for small models."""

import json
import os
import string
from collections.abc import Sequence
from typing import Any, Protocol

from grpo_jax.config import ConfigError
from grpo_jax.weights.chat import render

Messages = list[dict[str, str]]


class Tokenizer(Protocol):
  """Text to token ids and back. stop_ids: the tokens that end an answer, the usual one first."""

  vocab_size: int
  stop_ids: tuple[int, ...]

  def encode(self, text: str) -> list[int]:
    """Ids of the text; special tokens written in it are recognised, none is added."""

  def decode(self, ids: Sequence[int]) -> str:
    """Text of the ids, without special tokens."""

  def encode_chat(self, messages: Messages) -> list[int]:
    """Ids of a conversation by the chat template, up to where the model's turn begins."""


class CharacterTokenizer:
  """One token a printable ASCII character or newline, and one that stops. A chat is its text."""

  stop_ids: tuple[int, ...]

  def __init__(self) -> None:
    self._characters = "\n " + string.digits + string.ascii_letters + string.punctuation
    self._ids = {character: index for index, character in enumerate(self._characters)}
    self.vocab_size = len(self._characters) + 1
    self.stop_ids = (len(self._characters),)

  def encode(self, text: str) -> list[int]:
    """Raises ConfigError at a character that has no token."""
    unknown = [character for character in text if character not in self._ids]
    if unknown:
      raise ConfigError(f"the character tokenizer has no token for {unknown[0]!r} in {text[:60]!r}")
    return [self._ids[character] for character in text]

  def decode(self, ids: Sequence[int]) -> str:
    return "".join(self._characters[index] for index in ids if index < len(self._characters))

  def encode_chat(self, messages: Messages) -> list[int]:
    return self.encode("".join(message["content"] for message in messages))


class HuggingFaceTokenizer:
  """A tokenizer.json with its chat template.

  Args:
    source: the text of tokenizer.json.
    template: the chat template; None takes messages as plain text.
    stop_tokens: tokens that end an answer, the usual one first.
    special: bos_token and eos_token, for the template.
  """

  def __init__(
    self, source: str, template: str | None, stop_tokens: Sequence[str], special: dict[str, str]
  ):
    try:
      import tokenizers
    except ImportError as error:
      raise ConfigError(
        "tokenizer.json needs tokenizers: pip install 'grpo_jax[weights]'"
      ) from error
    try:
      self._tokenizer = tokenizers.Tokenizer.from_str(source)
    except Exception as error:  # its one kind of error
      raise ConfigError(f"tokenizer.json cannot be read: {error}") from error
    self._tokenizer.no_padding()
    self._tokenizer.no_truncation()
    self.source, self.template, self.special = source, template, special
    self.vocab_size = self._tokenizer.get_vocab_size(with_added_tokens=True)
    ids = [self._tokenizer.token_to_id(token) for token in stop_tokens]
    self.stop_ids = tuple(dict.fromkeys(index for index in ids if index is not None))
    self.stop_tokens = tuple(stop_tokens)
    if not self.stop_ids:
      raise ConfigError(f"the tokenizer has none of the stop tokens {list(stop_tokens)}")

  @classmethod
  def from_folder(cls, folder: str) -> "HuggingFaceTokenizer":
    """Reads tokenizer.json, tokenizer_config.json and, where it is, chat_template.jinja."""
    path = os.path.join(folder, "tokenizer.json")
    if not os.path.isfile(path):
      raise ConfigError(f"{path} is missing")
    with open(path, encoding="utf-8") as file:
      source = file.read()
    config = _json(os.path.join(folder, "tokenizer_config.json"))
    special = {
      name: _token_text(config.get(name))
      for name in ("bos_token", "eos_token")
      if config.get(name) is not None
    }
    template = config.get("chat_template")
    beside = os.path.join(folder, "chat_template.jinja")
    if os.path.isfile(beside):
      with open(beside, encoding="utf-8") as file:
        template = file.read()
    if isinstance(template, list):  # several by name
      named = {entry["name"]: entry["template"] for entry in template}
      template = named.get("default")
    return cls(source, template, stop_tokens(folder, source, special), special)

  def encode(self, text: str) -> list[int]:
    return self._tokenizer.encode(text, add_special_tokens=False).ids

  def decode(self, ids: Sequence[int]) -> str:
    return self._tokenizer.decode(list(ids), skip_special_tokens=True)

  def encode_chat(self, messages: Messages) -> list[int]:
    if self.template is None:
      return self.encode("".join(message["content"] for message in messages))
    # The template writes the beginning-of-text token itself: encode adds none.
    return self.encode(render(self.template, messages, **self.special))


def stop_tokens(folder: str, source: str, special: dict[str, str]) -> list[str]:
  """The tokenizer's end token, and those that generation_config.json or config.json name."""
  names = [special["eos_token"]] if "eos_token" in special else []
  by_id = {token["id"]: token["content"] for token in json.loads(source).get("added_tokens", [])}
  for file in ("generation_config.json", "config.json"):
    ids = _json(os.path.join(folder, file)).get("eos_token_id")
    ids = ids if isinstance(ids, list) else [ids]
    names += [by_id[index] for index in ids if index in by_id]
  return list(dict.fromkeys(names))


def _json(path: str) -> dict[str, Any]:
  if not os.path.isfile(path):
    return {}
  try:
    with open(path, encoding="utf-8") as file:
      return json.load(file)
  except ValueError as error:
    raise ConfigError(f"{path}: not readable as JSON: {error}") from error


def _token_text(token: Any) -> str:
  return token["content"] if isinstance(token, dict) else str(token)
