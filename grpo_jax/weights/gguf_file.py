"""The layout of GGUF files: metadata and tensors, every count checked against the file's size.

The gguf package's own reader trusts the counts: one that says 2^40 keeps it busy for ever. Layout:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little endian.
"""

import dataclasses
import math
import struct
from typing import Any

import numpy as np

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_DEEPEST = 4
_MOST_AXES = 4


@dataclasses.dataclass(frozen=True)
class Entry:
  """Where a tensor is. shape: slowest axis first; kind: GGML's number; start: byte in the file."""

  shape: tuple[int, ...]
  kind: int
  start: int


@dataclasses.dataclass(frozen=True)
class Contents:
  """A GGUF file. metadata: plain values, numbers' arrays as NumPy; data: its bytes, mapped."""

  metadata: dict[str, Any]
  entries: dict[str, Entry]
  data: np.ndarray


def read_file(path: str) -> Contents:
  """Reads the metadata, and where the tensors are.

  Raises:
    ValueError: what is malformed.
  """
  data = np.memmap(path, np.uint8, mode="r")
  cursor = _Cursor(data)
  if cursor.take(4) != _MAGIC:
    raise ValueError("it does not begin with GGUF")
  version = cursor.number("I")
  if version not in _VERSIONS:
    raise ValueError(f"version {version} is not 2 or 3, little endian")
  tensors, values = cursor.number("Q"), cursor.number("Q")
  metadata: dict[str, Any] = {}
  for _ in range(values):  # each takes bytes of the file: a false count ends with it
    name = cursor.text()
    if name in metadata:
      raise ValueError(f"{name} is there twice")
    metadata[name] = cursor.value(cursor.number("I"))
  entries = _entries(cursor, tensors)
  alignment = metadata.get("general.alignment", 32)
  if not isinstance(alignment, int) or alignment < 1:
    raise ValueError(f"general.alignment={alignment} is not a size")
  base = -(-cursor.at // alignment) * alignment
  moved = {name: dataclasses.replace(e, start=e.start + base) for name, e in entries.items()}
  return Contents(metadata, moved, data)


def _entries(cursor: "_Cursor", count: int) -> dict[str, Entry]:
  entries: dict[str, Entry] = {}
  for _ in range(count):
    name, axes = cursor.text(), cursor.number("I")
    if name in entries or axes > _MOST_AXES:
      raise ValueError(f"tensor {name} is there twice, or has {axes} axes")
    shape = tuple(cursor.number("Q") for _ in range(axes))[::-1]
    entries[name] = Entry(shape, cursor.number("I"), cursor.number("Q"))
  return entries


def tensor(contents: Contents, name: str) -> np.ndarray:
  """A tensor, dequantised to float32, of a file whose places have been checked.

  Raises:
    ValueError: its type cannot be undone.
  """
  import gguf

  entry = contents.entries[name]
  end = _end(name, entry)
  kind = gguf.GGMLQuantizationType(entry.kind)
  raw = contents.data[entry.start : end].reshape(*entry.shape[:-1], -1)
  try:
    return np.asarray(gguf.dequantize(np.asarray(raw), kind), np.float32).reshape(entry.shape)
  except NotImplementedError as error:
    raise ValueError(f"tensor {name} of type {kind.name} cannot be dequantised") from error


def check_places(contents: Contents) -> None:
  """Refuses tensors that the file has not room for: a small file of them would fill any memory.

  Raises:
    ValueError: two overlap, one reaches past the end, or its type is unknown.
  """
  last, reached = "", 0
  for name, entry in sorted(contents.entries.items(), key=lambda item: item[1].start):
    if entry.start < reached:
      raise ValueError(f"tensors {last} and {name} overlap")
    last, reached = name, _end(name, entry)
    if reached > len(contents.data):
      raise ValueError(f"tensor {name} reaches past the end of the file")


def _end(name: str, entry: Entry) -> int:
  """The byte after a tensor's last."""
  import gguf

  try:
    kind = gguf.GGMLQuantizationType(entry.kind)
    block, size = gguf.GGML_QUANT_SIZES[kind]
  except (ValueError, KeyError):
    raise ValueError(f"tensor {name} has the unknown type {entry.kind}") from None
  if not entry.shape or entry.shape[-1] % block:
    raise ValueError(f"tensor {name} of shape {entry.shape} has rows that are no whole blocks")
  return entry.start + math.prod(entry.shape) // block * size


class _Cursor:
  """Reads values one after the other, never past the end."""

  def __init__(self, data: np.ndarray):
    self._data, self.at = data, 0

  def take(self, size: int) -> bytes:
    if size > len(self._data) - self.at:
      raise ValueError(f"it ends early: {size} more bytes are announced at byte {self.at}")
    self.at += size
    return self._data[self.at - size : self.at].tobytes()

  def number(self, code: str) -> Any:
    return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

  def text(self) -> str:
    return self.take(self.number("Q")).decode("utf-8", errors="replace")

  def value(self, kind: int, depth: int = 0) -> Any:
    if kind in _SCALARS:
      return self.number(_SCALARS[kind])
    if kind == _STRING:
      return self.text()
    if kind != _ARRAY or depth > _DEEPEST:
      raise ValueError(f"a value at byte {self.at} has the unknown type {kind}")
    kind, count = self.number("I"), self.number("Q")
    if kind in _SCALARS:
      code = np.dtype(_SCALARS[kind]).newbyteorder("<")
      return np.frombuffer(self.take(count * code.itemsize), code)
    return [self.value(kind, depth + 1) for _ in range(count)]
