"""GGUF files of the Llama, Qwen and Gemma 3 families: their shape, their dequantised weights."""

from typing import Any

import numpy as np

from grpo_jax.config import Architecture, ConfigError, check
from grpo_jax.weights.errors import WeightsError, extra
from grpo_jax.weights.families import FAMILIES
from grpo_jax.weights.files import Pretrained, assemble, expected
from grpo_jax.weights.gguf_file import Contents, check_places, read_file, tensor
from grpo_jax.weights.gguf_tokenizer import rebuild
from grpo_jax.weights.tokenizer import Tokenizer

_TENSORS = {
  "embed": "token_embd.weight",
  "final_norm": "output_norm.weight",
  "head": "output.weight",
  "attention_norm": "blk.{}.attn_norm.weight",
  "query": "blk.{}.attn_q.weight",
  "key": "blk.{}.attn_k.weight",
  "value": "blk.{}.attn_v.weight",
  "output": "blk.{}.attn_output.weight",
  "query_bias": "blk.{}.attn_q.bias",
  "key_bias": "blk.{}.attn_k.bias",
  "value_bias": "blk.{}.attn_v.bias",
  "query_norm": "blk.{}.attn_q_norm.weight",
  "key_norm": "blk.{}.attn_k_norm.weight",
  "ffn_norm": "blk.{}.ffn_norm.weight",
  "gate": "blk.{}.ffn_gate.weight",
  "up": "blk.{}.ffn_up.weight",
  "down": "blk.{}.ffn_down.weight",
  "attention_post_norm": "blk.{}.post_attention_norm.weight",
  "ffn_post_norm": "blk.{}.post_ffw_norm.weight",
}
# general.architecture -> model_type of the hub.
_FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
# What llama.cpp knows of Gemma 3 by itself, and its files need not say.
_GEMMA3_PATTERN, _GEMMA3_WINDOW_THETA = 6, 10000.0
_ROPE_FACTORS = "rope_freqs.weight"


def load_gguf(path: str) -> Pretrained:
  """Reads a GGUF file; every quantisation that the gguf package can undo.

  Raises:
    WeightsError: one line that names the file and what is wrong in it.
  """
  with extra("gguf"):
    import gguf  # noqa: F401, dequantises
  try:
    contents = read_file(path)
    architecture = _architecture(contents)
    check(architecture, "its shape")
    _refuse_others(contents, architecture)
    check_places(contents)
    tokenizer = rebuild(contents.metadata)
    params = assemble(architecture, _TENSORS, _GgufTensors(contents), path, _adjust(contents))
  except WeightsError as error:
    raise WeightsError(f"{path}: {str(error).removeprefix(path + ': ')}") from error
  except (ValueError, OSError, ArithmeticError, LookupError, TypeError) as error:
    raise WeightsError(f"{path}: not a GGUF file that can be read: {error}") from error
  return Pretrained(architecture, params, tokenizer)


def outline_gguf(path: str) -> tuple[Architecture, Tokenizer]:
  """The shape and the tokenizer of a GGUF file, none of whose weights are read.

  Raises:
    WeightsError: as `load_gguf`.
  """
  try:
    contents = read_file(path)
    architecture = _architecture(contents)
    check(architecture, "its shape")
    return architecture, rebuild(contents.metadata)
  except WeightsError as error:
    raise WeightsError(f"{path}: {str(error).removeprefix(path + ': ')}") from error
  except (ValueError, OSError, ArithmeticError, LookupError, TypeError) as error:
    raise WeightsError(f"{path}: not a GGUF file that can be read: {error}") from error


class _GgufTensors:
  """The tensors of a GGUF file, as `assemble` asks for them."""

  def __init__(self, contents: Contents):
    self._contents = contents

  def shape(self, name: str) -> tuple[int, ...] | None:
    entry = self._contents.entries.get(name)
    return None if entry is None else entry.shape

  def read(self, name: str) -> np.ndarray:
    return tensor(self._contents, name)


def _adjust(contents: Contents) -> Any:
  """What makes llama.cpp's tensors ours: rows of a llama's queries and keys, norms of a Gemma.

  Rotary embedding turns pairs: (x0, x1), (x2, x3).. there, (x0, x[H/2]), (x1, x[H/2+1]).. here.
  Norms that multiply by 1 + weight are kept with the 1 added there.
  """
  metadata = contents.metadata
  if metadata["general.architecture"] == "gemma3":
    return lambda name, array: array - 1 if name.endswith("norm") else array
  if metadata["general.architecture"] != "llama":
    return lambda name, array: array
  H = _head_size(metadata, "llama")

  def halves(name: str, array: np.ndarray) -> np.ndarray:
    if name not in ("query", "key"):
      return array
    return array.reshape(-1, H // 2, 2, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)

  return halves


def _architecture(contents: Contents) -> Architecture:
  metadata = contents.metadata
  family = metadata.get("general.architecture")
  if not isinstance(family, str) or family not in _FAMILIES:
    raise WeightsError(f"architecture {family!r} is not one of {', '.join(_FAMILIES)}")
  scaling = metadata.get(f"{family}.rope.scaling.type", "none")
  if scaling != "none" or _ROPE_FACTORS in contents.entries:
    raise WeightsError("scaled rotary embeddings are read from Hugging Face folders only")

  def number(name: str, default: Any = None) -> Any:
    value = metadata.get(f"{family}.{name}", default)
    if value is None:
      raise WeightsError(f"{family}.{name} is missing")
    return value

  return Architecture(
    vocab_size=len(metadata.get("tokenizer.ggml.tokens", ())),
    hidden_size=number("embedding_length"),
    layers=number("block_count"),
    heads=number("attention.head_count"),
    kv_heads=number("attention.head_count_kv", number("attention.head_count")),
    head_size=_head_size(metadata, family),
    ffn_size=number("feed_forward_length"),
    context_length=number("context_length"),
    rope_theta=float(number("rope.freq_base", 10000.0)),
    # The file has a float32, the model was made with its decimal: 1e-5, not 9.999999747e-06.
    norm_eps=float(str(np.float32(number("attention.layer_norm_rms_epsilon")))),
    tied_embeddings=_TENSORS["head"] not in contents.entries,
    **FAMILIES[_FAMILIES[family]].fixed,
    **(_gemma3_windows(metadata) if family == "gemma3" else {}),
  )


def _gemma3_windows(metadata: dict[str, Any]) -> dict[str, Any]:
  for name in ("attn_logit_softcapping", "final_logit_softcapping"):
    if metadata.get(f"gemma3.{name}"):
      raise WeightsError(f"gemma3.{name} is not supported")
  window = metadata.get("gemma3.attention.sliding_window")
  if not window:
    raise WeightsError("gemma3.attention.sliding_window is missing")
  return {
    "sliding_window": window,
    "global_every": metadata.get("gemma3.attention.sliding_window_pattern", _GEMMA3_PATTERN),
    "window_rope_theta": float(metadata.get("gemma3.rope.freq_base_swa", _GEMMA3_WINDOW_THETA)),
  }


def _head_size(metadata: dict[str, Any], family: str) -> int:
  sizes = {
    metadata[name]
    for name in (f"{family}.attention.key_length", f"{family}.rope.dimension_count")
    if name in metadata
  } or {metadata[f"{family}.embedding_length"] // metadata[f"{family}.attention.head_count"]}
  if len(sizes) > 1:
    raise WeightsError(f"heads of {max(sizes)} with rotary embedding on {min(sizes)} of it")
  return sizes.pop()


def _refuse_others(contents: Contents, architecture: Architecture) -> None:
  """A tensor that is not used here would have changed the output elsewhere."""
  if len(contents.entries) < architecture.layers:
    raise ConfigError(f"{architecture.layers} layers in {len(contents.entries)} tensors")
  unused = sorted(set(contents.entries) - {name for name, _ in expected(architecture, _TENSORS)})
  if unused:
    raise WeightsError(f"tensor {unused[0]} has no place in this architecture")
