"""What the readers of weights share: the result, the error, names and shapes of tensors."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from grpo_jax.config import Architecture, ConfigError
from grpo_jax.weights.tokenizer import Tokenizer


class WeightsError(ConfigError):
  """A model file that cannot be read; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """A model as its files have it. params: float32 NumPy arrays, layers stacked."""

  architecture: Architecture
  params: dict[str, Any]
  tokenizer: Tokenizer


@contextlib.contextmanager
def extra(packages: str) -> Iterator[None]:
  """Turns a failed import into one line that says what to install."""
  try:
    yield
  except ImportError as error:
    raise WeightsError(
      f"reading model files needs {packages}: pip install 'grpo_jax[weights]'"
    ) from error


def layer_shapes(a: Architecture) -> dict[str, tuple[int, ...]]:
  """The shape of each weight of one layer, by its name in the parameter tree."""
  D, N, K, H, F = a.hidden_size, a.heads, a.kv_heads, a.head_size, a.ffn_size
  shapes: dict[str, tuple[int, ...]] = {
    "attention_norm": (D,),
    "query": (D, N, H),
    "key": (D, K, H),
    "value": (D, K, H),
    "output": (N, H, D),
    "ffn_norm": (D,),
    "gate": (D, F),
    "up": (D, F),
    "down": (F, D),
  }
  if a.qkv_bias:
    shapes |= {"query_bias": (N, H), "key_bias": (K, H), "value_bias": (K, H)}
  if a.qk_norm:
    shapes |= {"query_norm": (H,), "key_norm": (H,)}
  return shapes


def assemble(a: Architecture, read: Callable[[str, int | None], np.ndarray]) -> dict[str, Any]:
  """The parameter tree from a reader of single tensors.

  Args:
    a: the architecture.
    read: (name in the tree, layer or None) -> float32 array as files have it: a matrix is
      [outputs, inputs].
  """
  D, V = a.hidden_size, a.vocab_size

  def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty((a.layers, *shape), np.float32)
    for layer in range(a.layers):
      out[layer] = _oriented(read(name, layer), shape)
    return out

  params: dict[str, Any] = {
    "embed": np.asarray(read("embed", None).reshape(V, D), np.float32),
    "layers": {name: stacked(name, shape) for name, shape in layer_shapes(a).items()},
    "final_norm": np.asarray(read("final_norm", None), np.float32),
  }
  if not a.tied_embeddings:
    params["head"] = np.ascontiguousarray(read("head", None).T, dtype=np.float32)
  return params


def file_shape(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
  """The shape in a file of a weight whose shape in the tree is given: matrices are transposed."""
  if name.endswith(("norm", "bias")):
    return (int(np.prod(shape)),)
  if name == "output":
    return (shape[-1], int(np.prod(shape[:-1])))
  return (int(np.prod(shape[1:])), shape[0])


def _oriented(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """[outputs, inputs] -> inputs before outputs, heads apart."""
  return array.T.reshape(shape)
