"""Weights of others: Hugging Face folders and GGUF files in, Hugging Face folders out."""

import os

from grpo_jax.config import Architecture
from grpo_jax.weights.adapter import save_adapter
from grpo_jax.weights.errors import WeightsError, refusing
from grpo_jax.weights.export import save
from grpo_jax.weights.files import Pretrained
from grpo_jax.weights.tokenizer import Tokenizer

__all__ = ["Pretrained", "WeightsError", "load", "outline", "save", "save_adapter"]


def load(path: str) -> Pretrained:
  """Reads a Hugging Face folder or a .gguf file: its shape, its float32 weights, its tokenizer.

  Raises:
    WeightsError: one line on what is missing or malformed, and in which file.
  """
  with refusing(path):  # of whatever size or depth, it ends here
    pretrained = _read(path)
  rows, tokens = pretrained.architecture.vocab_size, pretrained.tokenizer.vocab_size
  if tokens > rows:
    raise WeightsError(f"{path}: the tokenizer has {tokens} tokens, the embedding only {rows}")
  return pretrained


def outline(path: str) -> tuple[Architecture, Tokenizer]:
  """The shape and the tokenizer of a model whose weights stay unread.

  Raises:
    WeightsError: one line on what is missing or malformed, and in which file.
  """
  with refusing(path):
    return _outline(path)


def _outline(path: str) -> tuple[Architecture, Tokenizer]:
  if os.path.isdir(path):
    from grpo_jax.weights.huggingface import outline_folder

    return outline_folder(path)
  if path.endswith(".gguf") and os.path.isfile(path):
    from grpo_jax.weights.gguf import outline_gguf

    return outline_gguf(path)
  raise _not_weights(path)


def _read(path: str) -> Pretrained:
  if os.path.isdir(path):
    from grpo_jax.weights.huggingface import load_folder

    return load_folder(path)
  if path.endswith(".gguf") and os.path.isfile(path):
    from grpo_jax.weights.gguf import load_gguf

    return load_gguf(path)
  raise _not_weights(path)


def _not_weights(path: str) -> WeightsError:
  wanted = "a folder with config.json and *.safetensors, or a .gguf file"
  kind = "is not" if os.path.exists(path) else "does not exist; expected"
  return WeightsError(f"config.model.weights={path}: {kind} {wanted}")
