"""Weights out: a Hugging Face folder that transformers, and what reads its layout, can load."""

import json
import os
import stat
from typing import Any

import numpy as np

from grpo_jax.config import Architecture
from grpo_jax.weights.errors import WeightsError, extra
from grpo_jax.weights.families import tensor_names
from grpo_jax.weights.files import file_shape, layer_shapes
from grpo_jax.weights.hub_config import describe
from grpo_jax.weights.tokenizer import Tokenizer


def save(
  folder: str, architecture: Architecture, params: dict[str, Any], tokenizer: Tokenizer
) -> None:
  """Writes config.json, model.safetensors, tokenizer.json and what belongs to them, in float32.

  config.json is written last: without it the folder is no model, should the writing be cut off.

  Raises:
    WeightsError: the folder holds the index of another model, or no family fits the architecture.
  """
  described = describe(architecture)
  index = os.path.join(folder, "model.safetensors.index.json")
  if os.path.exists(index):
    raise WeightsError(f"{index} is there already: save into a folder without a sharded model")
  os.makedirs(folder, exist_ok=True)
  write_tensors(os.path.join(folder, "model.safetensors"), _tensors(architecture, params))
  stops = list(tokenizer.stop_ids)
  files = tokenizer.files() | {
    "generation_config.json": json.dumps({"eos_token_id": stops}, indent=2),
    "config.json": json.dumps(described | {"eos_token_id": stops[0]}, indent=2),
  }
  template = os.path.join(folder, "chat_template.jinja")
  if "chat_template.jinja" not in files and os.path.exists(template):
    os.remove(template)  # of an export before this one
  for name, text in files.items():
    _write(os.path.join(folder, name), text)


def write_tensors(path: str, tensors: dict[str, np.ndarray]) -> None:
  """A safetensors file, whole or not at all, of the mode that new files have."""
  with extra("safetensors"):
    from safetensors.numpy import save_file
  temporary = path + ".tmp"
  with open(temporary, "wb") as file:
    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
  save_file(tensors, temporary, metadata={"format": "pt"})
  os.chmod(temporary, mode)  # safetensors leaves it to its owner alone
  os.replace(temporary, path)


def _tensors(a: Architecture, params: dict[str, Any]) -> dict[str, np.ndarray]:
  names = tensor_names(a)
  tensors = {
    names["embed"]: np.asarray(params["embed"], np.float32),
    names["final_norm"]: np.asarray(params["final_norm"], np.float32),
  }
  if not a.tied_embeddings:
    tensors[names["head"]] = np.ascontiguousarray(np.asarray(params["head"], np.float32).T)
  for name, shape in layer_shapes(a).items():
    stacked = np.asarray(params["layers"][name], np.float32)
    rows = file_shape(shape, name)
    for layer in range(a.layers):
      # As a matrix [inputs, outputs], then turned: the inverse of reading.
      array = stacked[layer].reshape(rows[::-1]).T
      tensors[names[name].format(layer)] = np.ascontiguousarray(array)
  return tensors


def _write(path: str, text: str) -> None:
  # newline="": a chat template keeps its line ends on every system.
  with open(path + ".tmp", "w", encoding="utf-8", newline="") as file:
    file.write(text)
  os.replace(path + ".tmp", path)
