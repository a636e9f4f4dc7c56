"""Weights out: a Hugging Face folder that transformers, and what reads its layout, can load."""

import json
import os
from typing import Any

import numpy as np

from grpo_jax.config import Architecture
from grpo_jax.weights.errors import WeightsError, extra
from grpo_jax.weights.files import file_shape, layer_shapes
from grpo_jax.weights.huggingface import TENSORS
from grpo_jax.weights.tokenizer import Tokenizer

_FAMILIES = {
  "llama": "LlamaForCausalLM",
  "qwen2": "Qwen2ForCausalLM",
  "qwen3": "Qwen3ForCausalLM",
}


def save(
  folder: str, architecture: Architecture, params: dict[str, Any], tokenizer: Tokenizer
) -> None:
  """Writes config.json, model.safetensors, tokenizer.json and what belongs to them, in float32.

  config.json is written last: without it the folder is no model, should the writing be cut off.

  Raises:
    WeightsError: the folder holds the index of another model, or no family fits the architecture.
  """
  with extra("safetensors"):
    from safetensors.numpy import save_file
  described = describe(architecture)
  index = os.path.join(folder, "model.safetensors.index.json")
  if os.path.exists(index):
    raise WeightsError(f"{index} is there already: save into a folder without a sharded model")
  os.makedirs(folder, exist_ok=True)
  temporary = os.path.join(folder, "model.safetensors.tmp")
  save_file(_tensors(architecture, params), temporary, metadata={"format": "pt"})
  os.replace(temporary, os.path.join(folder, "model.safetensors"))
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


def describe(a: Architecture) -> dict[str, Any]:
  """The architecture as a config.json."""
  if a.qkv_bias and a.qk_norm:
    raise WeightsError("no family that can be exported has both qkv_bias and qk_norm")
  family = "qwen2" if a.qkv_bias else "qwen3" if a.qk_norm else "llama"
  rope: dict[str, Any] = {"rope_type": "default", "rope_theta": a.rope_theta}
  if a.rope_scaling is not None:
    rope |= {
      "rope_type": "llama3",
      "factor": a.rope_scaling.factor,
      "low_freq_factor": a.rope_scaling.low_freq_factor,
      "high_freq_factor": a.rope_scaling.high_freq_factor,
      "original_max_position_embeddings": a.rope_scaling.original_context_length,
    }
  return {
    "architectures": [_FAMILIES[family]],
    "model_type": family,
    "vocab_size": a.vocab_size,
    "hidden_size": a.hidden_size,
    "num_hidden_layers": a.layers,
    "num_attention_heads": a.heads,
    "num_key_value_heads": a.kv_heads,
    "head_dim": a.head_size,
    "intermediate_size": a.ffn_size,
    "max_position_embeddings": a.context_length,
    # Once for readers that know transformers 4, once for those that know 5.
    "rope_theta": a.rope_theta,
    "rope_scaling": rope if a.rope_scaling is not None else None,
    "rope_parameters": rope,
    "rms_norm_eps": a.norm_eps,
    "tie_word_embeddings": a.tied_embeddings,
    "hidden_act": "silu",
    "torch_dtype": "float32",
  }


def _tensors(a: Architecture, params: dict[str, Any]) -> dict[str, np.ndarray]:
  tensors = {
    TENSORS["embed"]: np.asarray(params["embed"], np.float32),
    TENSORS["final_norm"]: np.asarray(params["final_norm"], np.float32),
  }
  if not a.tied_embeddings:
    tensors[TENSORS["head"]] = np.ascontiguousarray(np.asarray(params["head"], np.float32).T)
  for name, shape in layer_shapes(a).items():
    stacked = np.asarray(params["layers"][name], np.float32)
    rows = file_shape(shape, name)
    for layer in range(a.layers):
      # As a matrix [inputs, outputs], then turned: the inverse of reading.
      array = stacked[layer].reshape(rows[::-1]).T
      tensors[TENSORS[name].format(layer)] = np.ascontiguousarray(array)
  return tensors


def _write(path: str, text: str) -> None:
  # newline="": a chat template keeps its line ends on every system.
  with open(path + ".tmp", "w", encoding="utf-8", newline="") as file:
    file.write(text)
  os.replace(path + ".tmp", path)
