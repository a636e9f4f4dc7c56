"""How much a tokenizer.json may make of a text: its parts are applied one after the other."""

import json
from collections.abc import Iterator
from typing import Any

from grpo_jax.weights.errors import WeightsError

_MOST = 64  # characters for one, in all; real ones write 3


def check_growth(source: str) -> None:
  """Refuses replacements that together blow a text up: thirty that double it are a billion.

  Args:
    source: the text of tokenizer.json; what cannot be read is left to the library that reads it.

  Raises:
    WeightsError: the file's replacements make more than 64 characters of one.
  """
  try:
    parts = json.loads(source)
    for name in ("normalizer", "pre_tokenizer", "decoder"):
      growth = 1
      for text in _replacements(parts.get(name)):
        growth *= max(len(text), 1)
        if growth > _MOST:
          raise WeightsError(f"{name} replaces one character by more than {_MOST}")
  except (ValueError, AttributeError, RecursionError) as error:
    if isinstance(error, WeightsError):
      raise


def _replacements(part: Any) -> Iterator[str]:
  """What is put in place of something, anywhere in a part."""
  if isinstance(part, list):
    for item in part:
      yield from _replacements(item)
  if isinstance(part, dict):
    if part.get("type") == "Replace" and isinstance(part.get("content"), str):
      yield part["content"]
    for item in part.values():
      yield from _replacements(item)
