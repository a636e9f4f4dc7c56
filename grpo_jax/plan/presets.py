"""Published decoders by name: their shapes, to plan for models whose weights are not here."""

import posixpath
from typing import Any

from grpo_jax.config import Architecture, ConfigError, RopeScaling
from grpo_jax.config.fields import unknown_field

_QWEN2: dict[str, Any] = {
  "context_length": 32768,
  "rope_theta": 1e6,
  "norm_eps": 1e-6,
  "qkv_bias": True,
}
_QWEN3: dict[str, Any] = {
  "vocab_size": 151936,
  "head_size": 128,
  "context_length": 40960,
  "rope_theta": 1e6,
  "norm_eps": 1e-6,
  "qk_norm": True,
}
_LLAMA3: dict[str, Any] = {
  "vocab_size": 128256,
  "kv_heads": 8,
  "context_length": 131072,
  "rope_theta": 500000.0,
  "tied_embeddings": False,
}
_GEMMA3: dict[str, Any] = {
  "vocab_size": 262144,
  "head_size": 256,
  "context_length": 32768,
  "rope_theta": 1e6,
  "norm_eps": 1e-6,
  "qk_norm": True,
  "sliding_window": 512,
  "global_every": 6,
  "window_rope_theta": 10000.0,
  "post_norms": True,
  "norms_add_one": True,
  "scaled_embeddings": True,
  "activation": "gelu_tanh",
}
_STRETCHED = RopeScaling()


def _shape(layers: int, width: int, heads: int, kv: int, ffn: int, **other: Any) -> Architecture:
  fields = {"head_size": width // heads, "kv_heads": kv} | other
  return Architecture(layers=layers, hidden_size=width, heads=heads, ffn_size=ffn, **fields)


def _qwen2(vocab: int, tied: bool, *sizes: int) -> Architecture:
  return _shape(*sizes, vocab_size=vocab, tied_embeddings=tied, **_QWEN2)


def _llama3(layers: int, width: int, heads: int, ffn: int, **other: Any) -> Architecture:
  fields = _LLAMA3 | {"rope_scaling": _STRETCHED} | other
  return _shape(layers, width, heads, fields.pop("kv_heads"), ffn, **fields)


# Each as its config.json has it; counts are checked against those published.
MODELS: dict[str, Architecture] = {
  "smollm2-135m": _shape(
    30, 576, 9, 3, 1536, vocab_size=49152, context_length=8192, rope_theta=1e5
  ),
  "smollm2-360m": _shape(
    32, 960, 15, 5, 2560, vocab_size=49152, context_length=8192, rope_theta=1e5
  ),
  "smollm2-1.7b": _shape(
    24, 2048, 32, 32, 8192, vocab_size=49152, context_length=8192, rope_theta=130000.0
  ),
  "qwen2.5-0.5b": _qwen2(151936, True, 24, 896, 14, 2, 4864),
  "qwen2.5-1.5b": _qwen2(151936, True, 28, 1536, 12, 2, 8960),
  "qwen2.5-3b": _qwen2(151936, True, 36, 2048, 16, 2, 11008),
  "qwen2.5-7b": _qwen2(152064, False, 28, 3584, 28, 4, 18944),
  "qwen2.5-14b": _qwen2(152064, False, 48, 5120, 40, 8, 13824),
  "qwen2.5-32b": _qwen2(152064, False, 64, 5120, 40, 8, 27648),
  "qwen2.5-72b": _qwen2(152064, False, 80, 8192, 64, 8, 29568),
  "qwen3-0.6b": _shape(28, 1024, 16, 8, 3072, **_QWEN3),
  "qwen3-4b": _shape(36, 2560, 32, 8, 9728, **_QWEN3),
  "qwen3-8b": _shape(36, 4096, 32, 8, 12288, tied_embeddings=False, **_QWEN3),
  "qwen3-32b": _shape(64, 5120, 64, 8, 25600, tied_embeddings=False, **_QWEN3),
  "llama3.2-1b": _llama3(16, 2048, 32, 8192, tied_embeddings=True),
  "llama3.2-3b": _llama3(28, 3072, 24, 8192, tied_embeddings=True),
  "llama3-8b": _llama3(32, 4096, 32, 14336, rope_scaling=None, context_length=8192),
  "llama3-70b": _llama3(80, 8192, 64, 28672, rope_scaling=None, context_length=8192),
  "llama3.1-405b": _llama3(126, 16384, 128, 53248),
  "mistral-7b": _shape(
    *(32, 4096, 32, 8, 14336),
    vocab_size=32000,
    context_length=32768,
    sliding_window=4096,
    tied_embeddings=False,
  ),
  "smollm3-3b": _shape(
    *(36, 2048, 16, 4, 11008),
    vocab_size=128256,
    context_length=65536,
    rope_theta=5e6,
    norm_eps=1e-6,
    no_rope_every=4,
  ),
  "gemma-3-270m": _shape(18, 640, 4, 1, 2048, **_GEMMA3),
  "gemma-3-1b": _shape(26, 1152, 4, 1, 6912, **_GEMMA3),
  # An approximation: GPT-3 has a two-matrix feed-forward of 49152 and learned positions. A gated
  # one of 32768 has as many weights, so parameters, FLOPs and cache are those of 175B.
  "gpt3-175b": _shape(
    96, 12288, 96, 96, 32768, vocab_size=50257, context_length=2048, tied_embeddings=True
  ),
}
APPROXIMATE = {"gpt3-175b": "its feed-forward is gated, of as many weights as GPT-3's"}


def model_architecture(name: str) -> Architecture:
  """The shape of a published model.

  Raises:
    ConfigError: there is none of this name; the nearest is named.
  """
  if name.lower() not in MODELS:
    raise ConfigError(unknown_field("--model", name, MODELS).replace("field", "model"))
  return MODELS[name.lower()]


def named_like(path: str) -> str | None:
  """The model that a file or folder of weights is named after, if it is one of those known."""
  name = posixpath.basename(path.rstrip("/")).lower()
  found = [model for model in MODELS if name.startswith(model)]
  return max(found, key=len, default=None)
