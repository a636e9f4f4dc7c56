"""The tokenizer of a Hugging Face folder: tokenizer.json, its special tokens, its chat template."""

import json
from typing import Any

from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.folder import read_json, read_text
from grpo_jax.weights.tokenizer import SPECIAL, HuggingFaceTokenizer


def read_tokenizer(folder: str) -> HuggingFaceTokenizer:
  """Reads the tokenizer of a folder.

  Raises:
    WeightsError: a file is missing or malformed.
  """
  source = read_text(folder, "tokenizer.json")
  assert source is not None  # it is required
  config = read_json(folder, "tokenizer_config.json", required=False)
  older = read_json(folder, "special_tokens_map.json", required=False)
  special = {}
  for name in SPECIAL:
    token = _content(config.get(name)) or _content(older.get(name))
    if token is not None:
      special[name] = token
  stops = _stop_tokens(folder, source, special)
  try:
    return HuggingFaceTokenizer(source, _template(folder, config), stops, special)
  except WeightsError as error:
    raise WeightsError(f"{folder}: {error}") from error


def _content(token: Any) -> str | None:
  """A token as its text, or as an object that holds it."""
  if isinstance(token, dict):
    token = token.get("content")
  return token if isinstance(token, str) else None


def _template(folder: str, config: dict[str, Any]) -> str | None:
  beside = read_text(folder, "chat_template.jinja", required=False)
  if beside is not None:
    return beside
  template = config.get("chat_template")
  if isinstance(template, list):  # several by name
    entries = [entry for entry in template if isinstance(entry, dict)]
    named = [entry.get("template") for entry in entries if entry.get("name") == "default"]
    template = named[-1] if named else None
  return template if isinstance(template, str) else None


def _stop_tokens(folder: str, source: str, special: dict[str, str]) -> list[str]:
  """The tokenizer's end token, and those that generation_config.json or config.json name."""
  names = [special["eos_token"]] if "eos_token" in special else []
  try:
    by_id = {token["id"]: token["content"] for token in json.loads(source)["added_tokens"]}
  except (ValueError, LookupError, TypeError, RecursionError):
    by_id = {}  # the library that reads tokenizer.json says what is wrong with it
  for file in ("generation_config.json", "config.json"):
    ids = read_json(folder, file, required=False).get("eos_token_id")
    listed = ids if isinstance(ids, list) else [ids]
    names += [by_id[index] for index in listed if isinstance(index, int) and index in by_id]
  return list(dict.fromkeys(names))
