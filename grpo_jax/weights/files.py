"""What the readers of weights share: the result, names and shapes of tensors, the tree."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from grpo_jax.config import Architecture
from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """A model as its files have it. params: float32 NumPy arrays, layers stacked."""

  architecture: Architecture
  params: dict[str, Any]
  tokenizer: Tokenizer


class Tensors(Protocol):
  """Named tensors of one or several files, read one at a time."""

  def shape(self, name: str) -> tuple[int, ...] | None:
    """The shape of a tensor, matrices as [outputs, inputs]; None if there is no such tensor."""

  def read(self, name: str) -> np.ndarray:
    """The tensor as float32."""


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
  if a.post_norms:
    shapes |= {"attention_post_norm": (D,), "ffn_post_norm": (D,)}
  return shapes


def file_shape(shape: tuple[int, ...], name: str) -> tuple[int, ...]:
  """The shape in a file of a layer's weight whose shape in the tree is given."""
  # In whole numbers of any size: 2^32 heads of 2^32 are none in those of NumPy.
  if name.endswith(("norm", "bias")):
    return (math.prod(shape),)
  if name == "output":
    return (shape[-1], math.prod(shape[:-1]))
  return (math.prod(shape[1:]), shape[0])


def expected(a: Architecture, names: Mapping[str, str]) -> Iterator[tuple[str, tuple[int, ...]]]:
  """(name, shape) of every tensor that the files of an architecture must hold."""
  V, D = a.vocab_size, a.hidden_size
  yield names["embed"], (V, D)
  yield names["final_norm"], (D,)
  if not a.tied_embeddings:
    yield names["head"], (V, D)
  for layer in range(a.layers):
    for name, shape in layer_shapes(a).items():
      yield names[name].format(layer), file_shape(shape, name)


def assemble(
  a: Architecture,
  names: Mapping[str, str],
  tensors: Tensors,
  where: str,
  adjust: Callable[[str, np.ndarray], np.ndarray] = lambda name, array: array,
) -> dict[str, Any]:
  """The parameter tree.

  Args:
    a: the architecture.
    names: name in the tree -> name in the files, {} for the layer.
    tensors: the files. where: what to call them in an error.
    adjust: (name in the tree, array) -> array, for formats that order rows otherwise.
  """
  # All of it before anything is allocated: a hostile file may claim any size.
  for name, shape in expected(a, names):
    found = tensors.shape(name)
    if found is None:
      raise WeightsError(f"{where}: tensor {name} is missing")
    if found != shape:
      raise WeightsError(f"{where}: tensor {name} has shape {found}, expected {shape}")

  def read(name: str, layer: int = 0) -> np.ndarray:
    return adjust(name, tensors.read(names[name].format(layer)))

  def stacked(name: str, shape: tuple[int, ...]) -> np.ndarray:
    out = np.empty((a.layers, *shape), np.float32)
    for layer in range(a.layers):
      # [outputs, inputs] -> inputs before outputs, heads apart.
      out[layer] = read(name, layer).T.reshape(shape)
    return out

  params: dict[str, Any] = {
    "embed": read("embed"),
    "layers": {name: stacked(name, shape) for name, shape in layer_shapes(a).items()},
    "final_norm": read("final_norm"),
  }
  if not a.tied_embeddings:
    params["head"] = np.ascontiguousarray(read("head").T)
  return params
