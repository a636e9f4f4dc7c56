"""Small GGUF files by the gguf package's own writer, from the recorded Hugging Face folders."""

import json
import os

import gguf
import numpy as np

from grpo_jax.weights.families import tensor_names
from grpo_jax.weights.gguf import _TENSORS
from grpo_jax.weights.hub_config import read_architecture
from tests.weights.helpers import DATA

CONTROL, NORMAL = 3, 1


def sizes(name: str) -> dict:
  with open(os.path.join(DATA, name, "config.json"), encoding="utf-8") as file:
    return json.load(file)


def arrays(name: str) -> dict[str, np.ndarray]:
  """The tensors of a recorded model under their GGUF names, in llama.cpp's order of rows."""
  from safetensors.numpy import load_file

  folder = os.path.join(DATA, name)
  found: dict[str, np.ndarray] = {}
  for file in os.listdir(folder):
    if file.endswith(".safetensors"):
      found |= load_file(os.path.join(folder, file))
  named = {}
  for ours, theirs in tensor_names(read_architecture(sizes(name), name)).items():
    for layer in range(2 if "{}" in theirs else 1):
      if (array := found.get(theirs.format(layer))) is None:
        continue
      if name == "llama" and ours in ("query", "key"):
        array = interleaved(array, sizes(name)["head_dim"])
      if name == "gemma3" and ours.endswith("norm"):
        array = array + 1
      named[_TENSORS[ours].format(layer)] = array
  return named


def interleaved(array: np.ndarray, H: int) -> np.ndarray:
  """Rows x0, x[H/2], x1, x[H/2 + 1].. of each head, written as a list of places."""
  order = [place for pair in zip(range(H // 2), range(H // 2, H), strict=True) for place in pair]
  return np.concatenate([head[order] for head in np.split(array, len(array) // H)])


def write(path, name: str, *, tensors=None, kinds=None, **changes) -> str:
  """A GGUF file of a recorded model. changes: metadata to set; None leaves a key out."""
  writer = gguf.GGUFWriter(str(path), name)
  for key, value in (metadata(name) | changes).items():
    if isinstance(value, bool | str):
      (writer.add_bool if isinstance(value, bool) else writer.add_string)(key, value)
    elif isinstance(value, int):
      writer.add_uint32(key, value)
    elif isinstance(value, float):
      writer.add_float32(key, value)
    elif value is not None:
      writer.add_array(key, value)
  for key, array in (arrays(name) if tensors is None else tensors).items():
    kind = (kinds or {}).get(key)
    data = np.ascontiguousarray(array) if kind is None else gguf.quantize(array, kind)
    writer.add_tensor(key, data, raw_dtype=kind)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return str(path)


def metadata(name: str) -> dict:
  """What a converter writes. general.architecture is written by the writer itself."""
  shape, folder = sizes(name), os.path.join(DATA, name)
  with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as file:
    vocabulary = json.load(file)["model"]["vocab"]
  with open(os.path.join(folder, "chat_template.jinja"), encoding="utf-8") as file:
    template = file.read()
  tokens = sorted(vocabulary, key=vocabulary.__getitem__)
  return (_gemma3(shape) if name == "gemma3" else {}) | {
    f"{name}.block_count": shape["num_hidden_layers"],
    f"{name}.embedding_length": shape["hidden_size"],
    f"{name}.feed_forward_length": shape["intermediate_size"],
    f"{name}.context_length": shape["max_position_embeddings"],
    f"{name}.attention.head_count": shape["num_attention_heads"],
    f"{name}.attention.head_count_kv": shape["num_key_value_heads"],
    f"{name}.attention.layer_norm_rms_epsilon": shape["rms_norm_eps"],
    f"{name}.attention.key_length": shape.get("head_dim") or 8,
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": tokens,
    "tokenizer.ggml.token_type": [CONTROL if t.startswith("<|") else NORMAL for t in tokens],
    "tokenizer.ggml.eos_token_id": vocabulary["<|im_end|>"],
    "tokenizer.chat_template": template,
  }


def _gemma3(shape: dict) -> dict:
  rope = shape["rope_parameters"]
  return {
    "gemma3.attention.sliding_window": shape["sliding_window"],
    "gemma3.attention.sliding_window_pattern": 2,
    "gemma3.rope.freq_base": rope["full_attention"]["rope_theta"],
    "gemma3.rope.freq_base_swa": rope["sliding_attention"]["rope_theta"],
  }
