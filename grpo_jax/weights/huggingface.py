"""Hugging Face folders: config.json, safetensors, tokenizer.json. No code of the folder is run."""

import os
from typing import Any

from grpo_jax.config import Architecture, ConfigError, RopeScaling, check
from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.files import Pretrained, assemble
from grpo_jax.weights.folder import read_json
from grpo_jax.weights.safetensors import FolderTensors
from grpo_jax.weights.tokenizer import Tokenizer
from grpo_jax.weights.tokenizer_folder import read_tokenizer

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

# Fields that change the arithmetic, and the only values of them that are computed here.
_FIXED = {
  "hidden_act": ("silu",),
  "use_sliding_window": (False, None),
  "attention_bias": (False, None),
  "mlp_bias": (False, None),
  "partial_rotary_factor": (1, None),
  "quantization_config": (None,),
}


def load_folder(folder: str) -> Pretrained:
  """Reads a folder as the hub lays it out.

  Raises:
    WeightsError: one line that names the file and what is wrong in it.
  """
  where = os.path.join(folder, "config.json")
  architecture = read_architecture(read_json(folder, "config.json"), where)
  params = assemble(architecture, TENSORS, FolderTensors(folder), folder)
  return Pretrained(architecture, params, read_tokenizer(folder))


def outline_folder(folder: str) -> tuple[Architecture, Tokenizer]:
  """The shape and the tokenizer of a folder, none of whose weights are read.

  Raises:
    WeightsError: as `load_folder`.
  """
  where = os.path.join(folder, "config.json")
  return read_architecture(read_json(folder, "config.json"), where), read_tokenizer(folder)


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
  """The fields of config.json that describe a shape; all others are left unread."""
  family = config.get("model_type")
  if family not in FAMILIES:
    raise WeightsError(f"{where}: model_type={family!r} is not one of {', '.join(FAMILIES)}")
  for name, values in _FIXED.items():
    if config.get(name, values[0]) not in values:
      raise WeightsError(f"{where}: {name}={config[name]!r} is not supported")
  try:
    architecture = _architecture(config, family)
    check(architecture, where)
  except KeyError as error:
    raise WeightsError(f"{where}: field {error} is missing") from error
  except (TypeError, ValueError, ArithmeticError) as error:
    line = str(error)
    raise WeightsError(line if line.startswith(where) else f"{where}: {line}") from error
  return architecture


def _architecture(config: dict[str, Any], family: str) -> Architecture:
  heads = config["num_attention_heads"]
  rope = _rope(config)
  return Architecture(
    vocab_size=config["vocab_size"],
    hidden_size=config["hidden_size"],
    layers=config["num_hidden_layers"],
    heads=heads,
    kv_heads=config.get("num_key_value_heads") or heads,
    head_size=config.get("head_dim") or config["hidden_size"] // heads,
    ffn_size=config["intermediate_size"],
    context_length=config["max_position_embeddings"],
    rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
    rope_scaling=_rope_scaling(rope),
    norm_eps=float(config["rms_norm_eps"]),
    tied_embeddings=config.get("tie_word_embeddings", False),
    qkv_bias=family == "qwen2",
    qk_norm=family == "qwen3",
  )


def _rope(config: dict[str, Any]) -> dict[str, Any]:
  """transformers 5 gathers in rope_parameters what version 4 had in rope_scaling and beside it."""
  rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
  if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
    raise ConfigError(f"rotary parameters {str(rope)[:80]} are not those of one kind of layer")
  return rope


def _rope_scaling(rope: dict[str, Any]) -> RopeScaling | None:
  kind = rope.get("rope_type") or rope.get("type") or "default"
  if kind == "default":
    return None
  if kind != "llama3":
    raise ConfigError(f"rope type {kind!r} is not supported; 'default' and 'llama3' are")
  return RopeScaling(
    factor=float(rope["factor"]),
    low_freq_factor=float(rope["low_freq_factor"]),
    high_freq_factor=float(rope["high_freq_factor"]),
    original_context_length=rope["original_max_position_embeddings"],
  )
