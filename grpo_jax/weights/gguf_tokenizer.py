"""A tokenizer.json rebuilt from the metadata of a GGUF file: byte-pair encoding, of two kinds."""

import json
from typing import Any

from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.gguf_sentencepiece import sentencepiece_json
from grpo_jax.weights.tokenizer import HuggingFaceTokenizer, added_token

_CONTROL, _USER_DEFINED = 3, 4  # token types of GGUF: special tokens, and text kept in one piece

# The regular expressions by which Qwen2 and Llama 3 cut text before byte-pair encoding. They
# differ in how many digits stay together.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {
  "qwen2": _WORDS + r"\p{N}" + _OTHERS,
  "llama-bpe": _WORDS + r"\p{N}{1,3}" + _OTHERS,
}
_PRE_TOKENIZERS = ("smollm", *_SPLITS)

# A chat model may end with the end of its turn, or with the end of the text.
_ENDS = ("<|im_end|>", "<end_of_turn>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>")
_SPECIAL = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}


def rebuild(metadata: dict[str, Any]) -> HuggingFaceTokenizer:
  """The tokenizer of a GGUF file, from its `tokenizer.` metadata."""
  kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre", "")
  if kind != "llama" and (kind != "gpt2" or pre not in _PRE_TOKENIZERS):
    known = ", ".join(_PRE_TOKENIZERS)
    raise WeightsError(
      f"its tokenizer is {kind!r} with pre-tokenizer {pre!r}; 'gpt2' with {known} is supported,"
      " and 'llama'"
    )
  tokens = metadata.get("tokenizer.ggml.tokens", [])
  types = [int(kind) for kind in metadata.get("tokenizer.ggml.token_type", [])]
  if len(set(tokens)) != len(tokens) or len(types) != len(tokens):
    raise WeightsError("its tokenizer has a token twice, or not one type a token")
  special = {
    ours: tokens[metadata[name]]
    for theirs, ours in _SPECIAL.items()
    if metadata.get(name := f"tokenizer.ggml.{theirs}_token_id", -1) in range(len(tokens))
  }
  if "eos_token" not in special:
    raise WeightsError("tokenizer.ggml.eos_token_id is missing or no token")
  stops = [special["eos_token"], *(token for token in _ENDS if token in tokens)]
  template = metadata.get("tokenizer.chat_template", "")
  if not isinstance(template, str):
    raise WeightsError("tokenizer.chat_template is no text")
  if kind == "llama":
    made = sentencepiece_json(metadata, tokens, types, special)
  else:
    made = _bytes_json(tokens, types, metadata.get("tokenizer.ggml.merges", []), pre)
  source = json.dumps(made, ensure_ascii=False)
  return HuggingFaceTokenizer(source, template or None, list(dict.fromkeys(stops)), special)


def _bytes_json(tokens: list[str], types: list[int], merges: list[str], pre: str) -> dict[str, Any]:
  by_bytes = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
  if pre == "smollm":
    cut: dict[str, Any] = {"type": "Digits", "individual_digits": True}
  else:
    pattern = {"Regex": _SPLITS[pre]}
    cut = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
  # After the digits are apart, SmolLM cuts as GPT-2 does, which ByteLevel knows by itself.
  last = by_bytes | {"use_regex": pre == "smollm"}
  return {
    "version": "1.0",
    "added_tokens": [
      added_token(index, token, special=types[index] == _CONTROL)
      for index, token in enumerate(tokens)
      if types[index] in (_CONTROL, _USER_DEFINED)
    ],
    "normalizer": {"type": "NFC"} if pre == "qwen2" else None,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [cut, last]},
    "decoder": by_bytes | {"use_regex": True},
    "model": {
      "type": "BPE",
      # Llama 3 takes a whole word that is a token before it merges.
      "ignore_merges": pre == "llama-bpe",
      "vocab": {token: index for index, token in enumerate(tokens)},
      "merges": merges,
    },
  }
