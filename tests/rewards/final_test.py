"""The final answer that votes are counted by: what has one, has one score."""

from fractions import Fraction

import pytest

from grpo_jax.rewards import resolve
from grpo_jax.rewards.final import FINAL

_CHOICE = {"answer": "B", "options": ["red", "blue"]}


@pytest.mark.parametrize(
  ("name", "text", "fields", "wanted"),
  [
    ("number", "3 + 4 = 7.0", {"answer": "7"}, Fraction(7)),
    ("number", "no number", {"answer": "7"}, None),
    ("closeness", "<answer>1/2</answer> 9", {"answer": "7"}, Fraction(1, 2)),
    ("exact", " 7 ", {"answer": "7"}, "7"),
    ("exact", "  ", {"answer": "7"}, None),
    ("choice", "It is (b)... or A? B", _CHOICE, "B"),
    ("choice", "blue", _CHOICE, "B"),
    ("choice", "not sure", _CHOICE, None),
    ("gold", " I won't  help. ", {"answer": ""}, "i won't help"),
    ("gym", "so <answer> 4 </answer>", {}, "4"),
    ("gym_exact", "4", {}, "4"),
  ],
)
def test_by_hand(name, text, fields, wanted):
  assert FINAL[name](text, fields) == wanted


@pytest.mark.parametrize(
  ("name", "texts", "fields"),
  [
    ("number", ["7", "is 7.", "**7.0**", "14/2"], {"answer": "7"}),
    ("closeness", ["5", "= 5", "10/2"], {"answer": "7"}),
    ("exact", ["7", " 7\n"], {"answer": "7"}),
    ("choice", ["B", "(b)", "blue"], _CHOICE),
    ("gold", ["A Fact.", "a fact"], {"answer": "A fact"}),
  ],
)
def test_completions_of_one_answer_have_one_score(name, texts, fields):
  assert len({FINAL[name](text, fields) for text in texts}) == 1
  assert len({resolve(name)("", text, fields) for text in texts}) == 1


def test_rewards_without_an_answer_have_none():
  assert {"unit_tests", "format", "random", "countdown", "math", "helpful"}.isdisjoint(FINAL)
  assert all(resolve(name) for name in FINAL if not name.startswith("gym"))
