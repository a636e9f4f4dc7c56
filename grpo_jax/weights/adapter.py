"""Low-rank adapters out: a folder that peft, and what reads its layout, puts on the base model."""

import json
import os
from typing import Any

import numpy as np

from grpo_jax.config import Architecture, LoRA
from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.export import write_tensors
from grpo_jax.weights.families import tensor_names
from grpo_jax.weights.files import file_shape, layer_shapes


def save_adapter(
  folder: str, architecture: Architecture, adapters: dict[str, Any], lora: LoRA, base: str
) -> None:
  """Writes adapter_config.json and adapter_model.safetensors, in float32.

  Args:
    folder: made here. architecture: of the base.
    adapters: as `model.init_adapters` has them. lora: their rank, alpha and targets.
    base: the path of the base model, for whoever loads the folder; may be empty.

  Raises:
    WeightsError: the folder holds an adapter.
  """
  described = os.path.join(folder, "adapter_config.json")
  if os.path.exists(described):
    raise WeightsError(f"{described} is there already: name another folder")
  os.makedirs(folder, exist_ok=True)
  path = os.path.join(folder, "adapter_model.safetensors")
  write_tensors(path, _tensors(architecture, adapters["layers"], lora))
  with open(described, "w", encoding="utf-8") as file:
    json.dump(_describe(architecture, lora, base), file, indent=2)


def _describe(a: Architecture, lora: LoRA, base: str) -> dict[str, Any]:
  names = tensor_names(a)
  return {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": base or None,
    "r": lora.rank,
    "lora_alpha": lora.alpha,
    "lora_dropout": 0.0,
    "bias": "none",
    "fan_in_fan_out": False,
    "inference_mode": True,
    "target_modules": [names[name].split(".")[-2] for name in lora.targets],
  }


def _tensors(a: Architecture, adapters: dict[str, Any], lora: LoRA) -> dict[str, np.ndarray]:
  """Each as [outputs, inputs] of its own product: A is [r, I], B [O, r]."""
  tensors, shapes, names = {}, layer_shapes(a), tensor_names(a)
  for name in lora.targets:
    inputs = file_shape(shapes[name], name)[1]
    place = "base_model.model." + names[name].removesuffix(".weight")
    sides = {"A": (adapters[f"{name}_a"], inputs), "B": (adapters[f"{name}_b"], lora.rank)}
    for layer in range(a.layers):
      for side, (stacked, rows) in sides.items():
        matrix = np.asarray(stacked[layer], np.float32).reshape(rows, -1)
        tensors[f"{place.format(layer)}.lora_{side}.weight"] = np.ascontiguousarray(matrix.T)
  return tensors
