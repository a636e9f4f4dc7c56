"""The recorded models, and copies of them to break."""

import json
import os
import shutil

import pytest

from grpo_jax import weights
from grpo_jax.config import ConfigError

DATA = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data")
FAMILIES = ("llama", "qwen2", "qwen3", "mistral", "smollm3", "gemma3")
GGUF_FAMILIES = ("llama", "qwen2", "qwen3", "gemma3")


def copy_of(name: str, folder) -> str:
  """The recorded model in a folder of its own."""
  path = os.path.join(folder, name)
  shutil.copytree(os.path.join(DATA, name), path)
  return path


def edit_json(folder: str, name: str, **fields) -> None:
  """Sets fields of a JSON object in a file; None takes a field away."""
  path = os.path.join(folder, name)
  with open(path, encoding="utf-8") as file:
    value = json.load(file)
  value = {key: item for key, item in (value | fields).items() if item is not None}
  with open(path, "w", encoding="utf-8") as file:
    json.dump(value, file)


def refused(path: str) -> str:
  """The line with which a model is refused; fails where it is not."""
  with pytest.raises(ConfigError) as info:
    weights.load(path)
  return one_line(info)


def one_line(info) -> str:
  """The text of an error, which must be one line that names something."""
  text = str(info.value)
  assert text
  assert "\n" not in text
  assert "\r" not in text
  return text
