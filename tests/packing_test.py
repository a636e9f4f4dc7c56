"""Packing: every token stands once, nothing is longer than a row, and little is padding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax import packing
from grpo_jax.packing import Document, fill, first_fit, pieces


def document(tokens, learned=None) -> Document:
  tokens = np.asarray(tokens, np.int32)
  return Document(tokens, np.ones(len(tokens), bool) if learned is None else np.array(learned))


@pytest.mark.parametrize(
  ("sizes", "rows"),
  [
    ([], []),
    ([8], [[0]]),
    ([5, 4, 3, 4, 1], [[0, 2], [1, 3], [4]]),
    ([5, 4, 3, 3, 1], [[0, 2], [1, 3, 4]]),
    ([1, 8, 8, 7, 1], [[0, 3], [1], [2], [4]]),
  ],
)
def test_each_goes_to_the_first_row_with_room(sizes, rows):
  assert first_fit(sizes, 8) == rows


def test_only_the_last_rows_are_open(monkeypatch):
  monkeypatch.setattr(packing, "_OPEN", 2)
  assert first_fit([5, 6, 7, 3, 2, 1], 8) == [[0], [1], [2, 5], [3, 4]]


@given(st.lists(st.integers(1, 20), max_size=60))
def test_rows_hold_all_once_and_no_two_could_be_one(sizes):
  rows = first_fit(sizes, 20)
  assert sorted(index for row in rows for index in row) == list(range(len(sizes)))
  used = [sum(sizes[index] for index in row) for row in rows]
  assert max(used, default=0) <= 20
  assert sum(size <= 10 for size in used) <= 1


@given(st.integers(2, 30), st.integers(2, 9))
def test_pieces_predict_every_token_but_the_first_once(size, length):
  parts = pieces(document(range(size)), length)
  assert all(2 <= len(part.tokens) <= length for part in parts)
  assert [int(token) for part in parts for token in part.tokens[1:]] == list(range(1, size))
  assert all(len(part.learned) == len(part.tokens) for part in parts)


def test_a_document_that_fits_is_left_whole():
  (part,) = pieces(document([7, 8, 9], [False, True, True]), 3)
  assert (part.tokens.tolist(), part.learned.tolist()) == ([7, 8, 9], [False, True, True])


def test_rows_as_arrays():
  documents = [document([1, 2, 3], [True, False, True]), document([4, 5]), document([6, 7, 8, 9])]
  packed = fill(documents, [[0, 1], [2], []], 6)
  assert packed.tokens.tolist() == [[1, 2, 3, 4, 5, 0], [6, 7, 8, 9, 0, 0], [0] * 6]
  assert packed.segments.tolist() == [[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0], [0] * 6]
  # 1, 4 and 6 are predicted from nothing; 2 is not learned.
  learned = [[0, 0, 1, 0, 1, 0], [0, 1, 1, 1, 0, 0], [0] * 6]
  assert packed.mask.astype(int).tolist() == learned
  assert packed.tokens.dtype == packed.segments.dtype == np.int32
