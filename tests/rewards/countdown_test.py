"""Expressions: computed exactly, never run."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import resolve

_FIELDS = {"numbers": [2, 3, 4, 4], "target": 24}


def _score(text, fields=_FIELDS):
  return resolve("countdown")("", text, fields)


@pytest.mark.parametrize(
  "text",
  [
    "4 * (3 * (4 - 2))", "(4-2)*3*4", "(4-2)*3*4 = 24", "3*4*(4-2)=24.", "-(2-4)*3*4", "[4-2]*3*4.",
    "(4 \N{MINUS SIGN} 2) \N{MULTIPLICATION SIGN} 3 * 4", "Let me see.\n(4-2)*3*4", "$(4-2)*3*4$",
    "<think>2+2</think><answer>(4-2)*3*4</answer>",
  ],
)  # fmt: skip
def test_right(text):
  assert _score(text) == 1


@pytest.mark.parametrize(
  "text",
  [
    "", "24", "4*3*2", "4*3*2*4*4", "(4-2)*3*4 = 25", "(4-2)*12", "2+3+4+4", "4*4+2*3+2",
    "__import__('os').system('true')", "4**4", "4//4", "2**(3**(4**4))", "(4-2)*3*4)", "((((",
    "1e3", "0x10", "4*(3*(4-2)) + 0*9", "2/0+3+4+4", "(4-2)*3*4 is it", "4 3 2 4", "4,3", "٤*3*2*4",
    "(" * 300 + "1" + ")" * 300, "9" * 4000, "<answer>1</answer> (4-2)*3*4",
  ],
)  # fmt: skip
def test_wrong(text):
  assert _score(text) == 0


@given(st.text(alphabet="0123456789+-*/() ", max_size=400))
def test_nothing_takes_long_or_raises(text):
  started = time.monotonic()
  assert _score(text) in (0, 1)
  assert time.monotonic() - started < 1


def test_division_is_exact():
  assert _score("8 / (3 - 8/3)", {"numbers": [8, 3, 8, 3], "target": 24}) == 1
