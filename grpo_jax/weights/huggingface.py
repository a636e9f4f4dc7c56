"""Hugging Face folders: config.json, safetensors, tokenizer.json. No code of the folder is run."""

import json
import os
from typing import Any

import numpy as np

from grpo_jax.config import Architecture, ConfigError, RopeScaling, check
from grpo_jax.weights.files import (
  Pretrained,
  WeightsError,
  assemble,
  extra,
  file_shape,
  layer_shapes,
)
from grpo_jax.weights.tokenizer import HuggingFaceTokenizer

# Name in the parameter tree -> name in the files, {} for the layer.
TENSORS = {
  "embed": "model.embed_tokens.weight",
  "final_norm": "model.norm.weight",
  "head": "lm_head.weight",
  "attention_norm": "model.layers.{}.input_layernorm.weight",
  "query": "model.layers.{}.self_attn.q_proj.weight",
  "key": "model.layers.{}.self_attn.k_proj.weight",
  "value": "model.layers.{}.self_attn.v_proj.weight",
  "output": "model.layers.{}.self_attn.o_proj.weight",
  "query_bias": "model.layers.{}.self_attn.q_proj.bias",
  "key_bias": "model.layers.{}.self_attn.k_proj.bias",
  "value_bias": "model.layers.{}.self_attn.v_proj.bias",
  "query_norm": "model.layers.{}.self_attn.q_norm.weight",
  "key_norm": "model.layers.{}.self_attn.k_norm.weight",
  "ffn_norm": "model.layers.{}.post_attention_layernorm.weight",
  "gate": "model.layers.{}.mlp.gate_proj.weight",
  "up": "model.layers.{}.mlp.up_proj.weight",
  "down": "model.layers.{}.mlp.down_proj.weight",
}
FAMILIES = ("llama", "qwen2", "qwen3")


def load_folder(folder: str) -> Pretrained:
  """Reads a folder as the hub lays it out.

  Raises:
    WeightsError: one line that names the file and what is wrong in it.
  """
  config = read_json(folder, "config.json")
  architecture = read_architecture(config, os.path.join(folder, "config.json"))
  tensors = _Tensors(folder)
  shapes = layer_shapes(architecture)
  V, D = architecture.vocab_size, architecture.hidden_size
  outer: dict[str, tuple[int, ...]] = {"embed": (V, D), "head": (V, D), "final_norm": (D,)}

  def read(name: str, layer: int | None) -> np.ndarray:
    shape = outer[name] if layer is None else file_shape(shapes[name], name)
    return tensors.read(TENSORS[name].format(layer), shape)

  params = assemble(architecture, read)
  return Pretrained(architecture, params, HuggingFaceTokenizer.from_folder(folder))


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
  """The fields of config.json that describe a shape; all others are left unread."""
  family = config.get("model_type")
  if family not in FAMILIES:
    raise WeightsError(f"{where}: model_type={family!r} is not one of {', '.join(FAMILIES)}")
  if config.get("use_sliding_window") or config.get("hidden_act", "silu") != "silu":
    raise WeightsError(
      f"{where}: sliding windows and activations other than silu are not supported"
    )
  if family == "llama" and (config.get("attention_bias") or config.get("mlp_bias")):
    raise WeightsError(f"{where}: attention_bias and mlp_bias are not supported for llama")
  # transformers 5 gathers what version 4 had at the top.
  rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
  try:
    heads = config["num_attention_heads"]
    architecture = Architecture(
      vocab_size=config["vocab_size"],
      hidden_size=config["hidden_size"],
      layers=config["num_hidden_layers"],
      heads=heads,
      kv_heads=config.get("num_key_value_heads") or heads,
      head_size=config.get("head_dim") or config["hidden_size"] // heads,
      ffn_size=config["intermediate_size"],
      context_length=config["max_position_embeddings"],
      rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
      rope_scaling=_rope_scaling(rope, where),
      norm_eps=float(config["rms_norm_eps"]),
      tied_embeddings=bool(config.get("tie_word_embeddings", False)),
      qkv_bias=family == "qwen2",
      qk_norm=family == "qwen3",
    )
    check(architecture, where)
  except KeyError as error:
    raise WeightsError(f"{where}: field {error} is missing") from error
  except (TypeError, ValueError, ConfigError) as error:
    raise WeightsError(f"{where}: {error}") from error
  return architecture


def _rope_scaling(rope: dict[str, Any], where: str) -> RopeScaling | None:
  kind = rope.get("rope_type") or rope.get("type") or "default"
  if kind == "default":
    return None
  if kind != "llama3":
    raise WeightsError(f"{where}: rope type {kind!r} is not supported; 'default' and 'llama3' are")
  return RopeScaling(
    factor=float(rope["factor"]),
    low_freq_factor=float(rope["low_freq_factor"]),
    high_freq_factor=float(rope["high_freq_factor"]),
    original_context_length=int(rope["original_max_position_embeddings"]),
  )


def read_json(folder: str, name: str, *, required: bool = True) -> dict[str, Any]:
  """A JSON object of a folder; {} where it is not there and not required."""
  path = os.path.join(folder, name)
  if not os.path.isfile(path):
    if not required:
      return {}
    raise WeightsError(f"{path} is missing: is {folder} a model folder as the hub has it?")
  try:
    with open(path, encoding="utf-8") as file:
      value = json.load(file)
  except (ValueError, OSError, RecursionError) as error:
    raise WeightsError(f"{path}: not readable as JSON: {error}") from error
  if not isinstance(value, dict):
    raise WeightsError(f"{path}: expected a JSON object, found {type(value).__name__}")
  return value


class _Tensors:
  """The tensors of a folder, in one safetensors file or several; opened once each."""

  def __init__(self, folder: str):
    self._files: dict[str, Any] = {}
    self._paths = _tensor_paths(folder)
    self._folder = folder

  def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
    path = self._paths.get(name) or self._paths.get("")
    if path is None:
      raise WeightsError(f"{self._folder}: no file holds the tensor {name}")
    try:
      array = self._open(path).get_tensor(name)
    except Exception as error:  # safetensors raises its own kinds
      raise WeightsError(f"{path}: tensor {name} cannot be read: {error}") from error
    if array.shape != shape:
      raise WeightsError(f"{path}: tensor {name} has shape {array.shape}, expected {shape}")
    return array.astype(np.float32)

  def _open(self, path: str) -> Any:
    with extra("safetensors"):
      from safetensors import safe_open
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16

    if path not in self._files:
      self._files[path] = safe_open(path, framework="numpy")
    return self._files[path]


def _tensor_paths(folder: str) -> dict[str, str]:
  """Tensor name -> file; the key "" is the file of all."""
  single = os.path.join(folder, "model.safetensors")
  index = read_json(folder, "model.safetensors.index.json", required=False)
  if index:
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict):
      raise WeightsError(f"{folder}/model.safetensors.index.json: weight_map is missing")
    return {name: _inside(folder, file) for name, file in weight_map.items()}
  if os.path.isfile(single):
    return {"": _inside(folder, "model.safetensors")}
  pickles = [name for name in sorted(os.listdir(folder)) if name.endswith((".bin", ".pt", ".pth"))]
  if pickles:
    raise WeightsError(f"{folder}/{pickles[0]} is a pickle, which can run code: use safetensors")
  raise WeightsError(f"{folder}: neither model.safetensors nor its index is there")


def _inside(folder: str, name: Any) -> str:
  """The path of a file that must lie in the folder, links followed."""
  root = os.path.realpath(folder)
  path = os.path.realpath(os.path.join(root, str(name)))
  # A hub cache links its files to a blobs folder beside the snapshot; that is its own tree.
  if os.path.dirname(path) != root and "blobs" not in os.path.dirname(path).split(os.sep):
    raise WeightsError(f"{folder}: {name!r} leads out of the folder")
  if os.sep in str(name) or not os.path.isfile(path):
    raise WeightsError(f"{folder}: {name!r} is not a file of the folder")
  return path
