"""Tensors of a folder, in one safetensors file or several. Pickles are refused."""

import os
from typing import Any

import numpy as np

from grpo_jax.weights.errors import WeightsError, extra, refusing
from grpo_jax.weights.folder import inside, read_json

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")
_TYPES = ("F32", "F16", "BF16")


class FolderTensors:
  """A reader of the tensors of a folder; each file is opened once, when it is first needed."""

  def __init__(self, folder: str):
    self._folder = folder
    self._opened: dict[str, Any] = {}
    self._names: dict[str, frozenset[str]] = {}
    # Tensor -> file; None where one file holds all.
    self._index = _weight_map(folder)
    if self._index is None and inside(folder, _SINGLE) is None:
      _refuse_pickles(folder)

  def shape(self, name: str) -> tuple[int, ...] | None:
    if self._index is not None and name not in self._index:
      return None
    path = self._path(name)
    opened = self._open(path)
    if name not in self._names[path]:
      return None
    described = opened.get_slice(name)
    if described.get_dtype() not in _TYPES:
      raise WeightsError(
        f"{path}: tensor {name} has type {described.get_dtype()}, not one of {', '.join(_TYPES)}"
      )
    return tuple(described.get_shape())

  def read(self, name: str) -> np.ndarray:
    import ml_dtypes  # noqa: F401, teaches NumPy bfloat16

    path = self._path(name)
    with refusing(f"{path}: tensor {name} cannot be read"):
      return np.asarray(self._open(path).get_tensor(name), np.float32)

  def _path(self, name: str) -> str:
    file = _SINGLE if self._index is None else self._index[name]
    path = inside(self._folder, file)
    if path is None or not str(file).endswith(".safetensors"):
      raise WeightsError(f"{self._folder}: {file!r} is not a safetensors file of the folder")
    return path

  def _open(self, path: str) -> Any:
    with extra("safetensors"):
      from safetensors import safe_open

    if path not in self._opened:
      with refusing(f"{path}: not a whole safetensors file"):
        self._opened[path] = safe_open(path, framework="numpy")
        # Kept: each call lists them all, which of a million tensors takes hours.
        self._names[path] = frozenset(self._opened[path].keys())
    return self._opened[path]


def _weight_map(folder: str) -> dict[str, str] | None:
  if inside(folder, _INDEX) is None:
    return None
  weight_map = read_json(folder, _INDEX).get("weight_map")
  if not isinstance(weight_map, dict):
    raise WeightsError(f"{os.path.join(folder, _INDEX)}: weight_map is missing")
  for file in weight_map.values():
    inside(folder, file)  # even those that hold nothing we need
  return weight_map


def _refuse_pickles(folder: str) -> None:
  pickles = [name for name in sorted(os.listdir(folder)) if name.endswith(_PICKLES)]
  if pickles:
    path = os.path.join(folder, pickles[0])
    raise WeightsError(f"{path} is a pickle, which can run code: convert it to safetensors")
  raise WeightsError(f"{folder}: neither {_SINGLE} nor {_INDEX} is there")
