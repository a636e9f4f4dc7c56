"""GGUF files of the Llama and Qwen families: dequantised weights, tokenizer, chat template."""

import json
from typing import Any

import numpy as np

from grpo_jax.config import Architecture, ConfigError, check
from grpo_jax.weights.files import (
  Pretrained,
  WeightsError,
  assemble,
  extra,
  file_shape,
  layer_shapes,
)
from grpo_jax.weights.tokenizer import HuggingFaceTokenizer

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
}
_FAMILIES = ("llama", "qwen2", "qwen3")
_CONTROL = 3  # token type of special tokens in GGUF

_SPLITS = {
  # The regular expressions by which Qwen2 and Llama 3 cut text before byte-pair encoding.
  "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
  r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
  "llama-bpe": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
  r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def load_gguf(path: str) -> Pretrained:
  """Reads a GGUF file; every quantisation that the gguf package can undo.

  Raises:
    WeightsError: one line that names the file and what is wrong in it.
  """
  with extra("gguf"):
    import gguf
  try:
    reader = gguf.GGUFReader(path)
    fields = dict(reader.fields)
  except Exception as error:  # a malformed file can fail anywhere in its parser
    raise WeightsError(f"{path}: not a readable GGUF file: {error}") from error
  architecture = _architecture(path, fields, {tensor.name: tensor for tensor in reader.tensors})
  tensors = {tensor.name: tensor for tensor in reader.tensors}
  shapes = layer_shapes(architecture)
  V, D = architecture.vocab_size, architecture.hidden_size
  outer: dict[str, tuple[int, ...]] = {"embed": (V, D), "head": (V, D), "final_norm": (D,)}

  def read(name: str, layer: int | None) -> np.ndarray:
    tensor_name = _TENSORS[name].format(layer)
    shape = outer[name] if layer is None else file_shape(shapes[name], name)
    if tensor_name not in tensors:
      raise WeightsError(f"{path}: tensor {tensor_name} is missing")
    tensor = tensors[tensor_name]
    if tuple(int(size) for size in tensor.shape[::-1]) != shape:
      raise WeightsError(
        f"{path}: tensor {tensor_name} has shape {tensor.shape[::-1]}, not {shape}"
      )
    array = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(shape)
    if _text(fields, "general.architecture") == "llama" and name in ("query", "key"):
      return _halves(array, architecture.head_size)
    return array

  return Pretrained(architecture, assemble(architecture, read), _tokenizer(path, fields))


def _halves(array: np.ndarray, head_size: int) -> np.ndarray:
  """Rows of a head from pairs (x0, x1), (x2, x3).. as llama.cpp has them, to halves as we do."""
  return array.reshape(-1, head_size // 2, 2, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)


def _architecture(path: str, fields: dict[str, Any], tensors: dict[str, Any]) -> Architecture:
  family = _text(fields, "general.architecture")
  if family not in _FAMILIES:
    raise WeightsError(f"{path}: architecture {family!r} is not one of {', '.join(_FAMILIES)}")
  if f"{family}.rope.scaling.type" in fields or "rope_freqs.weight" in tensors:
    raise WeightsError(f"{path}: scaled rotary embeddings are read from Hugging Face folders only")

  def number(name: str) -> Any:
    value = _contents(fields, f"{family}.{name}")
    if value is None:
      raise WeightsError(f"{path}: {family}.{name} is missing")
    return value

  heads, hidden = int(number("attention.head_count")), int(number("embedding_length"))
  size = _contents(fields, f"{family}.attention.key_length") or hidden // max(heads, 1)
  architecture = Architecture(
    vocab_size=len(_contents(fields, "tokenizer.ggml.tokens") or []),
    hidden_size=hidden,
    layers=int(number("block_count")),
    heads=heads,
    kv_heads=int(number("attention.head_count_kv")),
    head_size=int(size),
    ffn_size=int(number("feed_forward_length")),
    context_length=int(number("context_length")),
    rope_theta=float(_contents(fields, f"{family}.rope.freq_base") or 10000.0),
    norm_eps=float(number("attention.layer_norm_rms_epsilon")),
    tied_embeddings="output.weight" not in tensors,
    qkv_bias=family == "qwen2",
    qk_norm=family == "qwen3",
  )
  try:
    check(architecture, path)
  except ConfigError as error:
    raise WeightsError(str(error)) from error
  return architecture


def _tokenizer(path: str, fields: dict[str, Any]) -> HuggingFaceTokenizer:
  """A tokenizer.json, rebuilt from the file's metadata."""
  kind, pre = _text(fields, "tokenizer.ggml.model"), _text(fields, "tokenizer.ggml.pre")
  if kind != "gpt2" or pre not in ("smollm", *_SPLITS):
    raise WeightsError(f"{path}: tokenizer {kind!r} with pre-tokenizer {pre!r} is not supported")
  tokens = _contents(fields, "tokenizer.ggml.tokens") or []
  types = _contents(fields, "tokenizer.ggml.token_type") or []
  merges = _contents(fields, "tokenizer.ggml.merges") or []
  eos = _contents(fields, "tokenizer.ggml.eos_token_id")
  if eos is None or not 0 <= eos < len(tokens) or len(types) != len(tokens):
    raise WeightsError(f"{path}: the tokenizer's end token or token types are missing")
  special = {"eos_token": tokens[eos]}
  bos = _contents(fields, "tokenizer.ggml.bos_token_id")
  if bos is not None and 0 <= bos < len(tokens):
    special["bos_token"] = tokens[bos]
  added = [(index, token) for index, token in enumerate(tokens) if types[index] == _CONTROL]
  source = json.dumps(_tokenizer_json(tokens, merges, added, pre))
  # A chat model may also end with the end of text.
  stops = [tokens[eos], *(t for t in ("<|im_end|>", "<|eot_id|>", "<|endoftext|>") if t in tokens)]
  template = _text(fields, "tokenizer.chat_template") or None
  return HuggingFaceTokenizer(source, template, list(dict.fromkeys(stops)), special)


def _tokenizer_json(
  tokens: list[str], merges: list[str], added: list[tuple[int, str]], pre: str
) -> dict[str, Any]:
  by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
  if pre == "smollm":
    cut: list[dict[str, Any]] = [{"type": "Digits", "individual_digits": True}]
  else:
    pattern = {"Regex": _SPLITS[pre]}
    cut = [{"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}]
  last = by_bytes | {"use_regex": pre == "smollm"}
  flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
  return {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [{"id": i, "content": t, "special": True} | flags for i, t in added],
    "normalizer": {"type": "NFC"} if pre == "qwen2" else None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*cut, last]},
    "post_processor": None,
    "decoder": by_bytes | {"use_regex": True},
    "model": {
      "type": "BPE",
      "dropout": None,
      "unk_token": None,
      "continuing_subword_prefix": None,
      "end_of_word_suffix": None,
      "fuse_unk": False,
      "byte_fallback": False,
      # Llama 3 takes a whole word that is a token before it merges.
      "ignore_merges": pre == "llama-bpe",
      "vocab": {token: index for index, token in enumerate(tokens)},
      "merges": merges,
    },
  }


def _contents(fields: dict[str, Any], name: str) -> Any:
  field = fields.get(name)
  return None if field is None else field.contents()


def _text(fields: dict[str, Any], name: str) -> str:
  return str(_contents(fields, name) or "")
