"""Documents of unequal length side by side in rows of one length, with little padding."""

from collections.abc import Sequence
from typing import NamedTuple

import flax.struct
import jax
import numpy as np

# Rows that may still get a document: older ones are as good as full.
_OPEN = 1024


class Document(NamedTuple):
  """tokens: i32[n]. learned: bool[n], those that count in the loss, each predicted from before."""

  tokens: np.ndarray
  learned: np.ndarray


@flax.struct.dataclass
class Packed:
  """Rows of documents.

  tokens: i32[B,S]; what stands in the padding does not matter.
  segments: i32[B,S], 1, 2, ... for the documents of a row; 0 is padding.
  mask: bool[B,S], tokens in the loss: never a document's first, which is predicted from nothing.
  """

  tokens: jax.Array
  segments: jax.Array
  mask: jax.Array


def pieces(document: Document, length: int) -> list[Document]:
  """The document in parts of at most `length` >= 2 tokens.

  Each part begins with the last token of the one before, so that all but the document's first token
  are predicted once.
  """
  starts = range(0, len(document.tokens) - 1, length - 1)
  return [Document(*(field[start : start + length] for field in document)) for start in starts]


def first_fit(sizes: Sequence[int], length: int) -> list[list[int]]:
  """Rows of indices whose sizes add up to `length` at most; Johnson et al. 1974, algorithm FF.

  Each index in turn goes to the first row that has room, of the last 1,024; else to a new one.

  Args:
    sizes: tokens of each document, from 1 to `length`.
    length: tokens of a row.
  """
  rows: list[list[int]] = []
  room = np.zeros(len(sizes), np.int64)
  for index, size in enumerate(sizes):
    oldest = max(len(rows) - _OPEN, 0)
    fits = room[oldest : len(rows)] >= size
    row = oldest + int(fits.argmax()) if fits.any() else len(rows)
    if row == len(rows):
      rows.append([])
      room[row] = length
    rows[row].append(index)
    room[row] -= size
  return rows


def fill(documents: Sequence[Document], rows: Sequence[Sequence[int]], length: int) -> Packed:
  """The rows as arrays i32[B,S], i32[B,S], bool[B,S], S = `length`; a row may be empty."""
  shape = (len(rows), length)
  tokens, segments = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
  mask = np.zeros(shape, bool)
  for row, indices in enumerate(rows):
    start = 0
    for segment, index in enumerate(indices, start=1):
      document = documents[index]
      stop = start + len(document.tokens)
      tokens[row, start:stop] = document.tokens
      segments[row, start:stop] = segment
      mask[row, start + 1 : stop] = document.learned[1:]
      start = stop
  return Packed(tokens, segments, mask)  # type: ignore[arg-type]
