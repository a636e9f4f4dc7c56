"""Hugging Face folders: config.json, safetensors, tokenizer.json. No code of the folder is run."""

import os

from grpo_jax.config import Architecture
from grpo_jax.weights.families import tensor_names
from grpo_jax.weights.files import Pretrained, assemble
from grpo_jax.weights.folder import read_json
from grpo_jax.weights.hub_config import read_architecture
from grpo_jax.weights.safetensors import FolderTensors
from grpo_jax.weights.tokenizer import Tokenizer
from grpo_jax.weights.tokenizer_folder import read_tokenizer


def load_folder(folder: str) -> Pretrained:
  """Reads a folder as the hub lays it out.

  Raises:
    WeightsError: one line that names the file and what is wrong in it.
  """
  where = os.path.join(folder, "config.json")
  architecture = read_architecture(read_json(folder, "config.json"), where)
  params = assemble(architecture, tensor_names(architecture), FolderTensors(folder), folder)
  return Pretrained(architecture, params, read_tokenizer(folder))


def outline_folder(folder: str) -> tuple[Architecture, Tokenizer]:
  """The shape and the tokenizer of a folder, none of whose weights are read.

  Raises:
    WeightsError: as `load_folder`.
  """
  where = os.path.join(folder, "config.json")
  return read_architecture(read_json(folder, "config.json"), where), read_tokenizer(folder)
