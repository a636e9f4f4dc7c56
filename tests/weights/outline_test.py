"""A model's shape and tokenizer, read without its weights."""

import os
import shutil

import pytest

from grpo_jax import weights
from grpo_jax.config import ConfigError
from tests.weights import gguf_writer
from tests.weights.helpers import DATA, FAMILIES, copy_of, one_line

_CHAT = [{"role": "user", "content": "3 + 4\n"}]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_without_its_weights(name, tmp_path):
  folder, whole = copy_of(name, tmp_path), weights.load(os.path.join(DATA, name))
  for file in os.listdir(folder):
    if file.endswith((".safetensors", ".index.json")):
      os.remove(os.path.join(folder, file))
  architecture, tokenizer = weights.outline(folder)
  assert architecture == whole.architecture
  assert tokenizer.encode_chat(_CHAT) == whole.tokenizer.encode_chat(_CHAT)


def test_a_gguf(tmp_path):
  path = gguf_writer.write(str(tmp_path / "small.gguf"), "llama")
  whole = weights.load(path)
  architecture, tokenizer = weights.outline(path)
  assert architecture == whole.architecture
  assert tokenizer.encode_chat(_CHAT) == whole.tokenizer.encode_chat(_CHAT)


def test_what_is_no_model_is_one_line(tmp_path):
  empty = copy_of("llama", tmp_path)
  os.remove(os.path.join(empty, "config.json"))
  text = str(tmp_path / "text.gguf")
  shutil.copy(os.path.join(empty, "tokenizer.json"), text)
  for path in (empty, text, str(tmp_path / "nowhere.gguf")):
    with pytest.raises(ConfigError) as error:
      weights.outline(path)
    assert path in one_line(error)
