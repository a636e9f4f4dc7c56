"""Rule-based rewards: what they accept, and what cannot fool or stall them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import REWARDS

number, exact, form = REWARDS["number"], REWARDS["exact"], REWARDS["format"]


@pytest.mark.parametrize(
  ("text", "answer"),
  [
    ("46", "46"), ("The sum is 46.", "46"), ("1,234", "1234"), ("$1,234.50!", "1234.5"),
    ("46.0", "46"), ("-5", "-5"), ("+5", "5"), ("5 - 10 = \N{MINUS SIGN}5", "-5"), ("**46**", "46"),
    (r"\boxed{46}", "46"), ("12 + 34 = 46\n", "46"), ("12-7", "7"), ("45, then 46", "46"),
    ("<answer>46</answer> of 3 tries", "46"), ("0046", "46"),
  ],
)  # fmt: skip
def test_right_answers(text, answer):
  assert number("", text, {"answer": answer}) == 1


@pytest.mark.parametrize(
  "text",
  [
    "", "none", "45", "460", "46 or 47", "46 " + " ".join(map(str, range(100))), "4 6", "0.46",
    "46.5", "-46", "46,000", "9" * 100_000, "x" * 1_000_000, "<answer>" * 10_000,
    "46<answer>45</answer>",
    "1e9" * 1000, "46 " * 3 + "7",
  ],
)  # fmt: skip
def test_wrong_and_gamed_answers_are_worth_nothing_and_take_no_time(text):
  """Listing numbers gains nothing: only the last counts."""
  started = time.monotonic()
  assert number("", text, {"answer": "46"}) == 0
  assert time.monotonic() - started < 1


@given(st.text(), st.sampled_from(sorted(REWARDS)))
def test_no_text_breaks_a_reward(text, name):
  assert 0 <= REWARDS[name]("", text, {"answer": "46"}) <= 1


def test_exact():
  assert exact("", " 46\n", {"answer": "46"}) == 1
  assert exact("", "46.", {"answer": "46"}) == 0


@pytest.mark.parametrize(
  ("text", "worth"),
  [
    ("<think>a</think><answer>b</answer>", 1), ("<think>a</think>\n<answer>b</answer>\n", 1),
    ("x<think>a</think><answer>b</answer>", 0), ("<answer>b</answer><think>a</think>", 0),
    ("<think>a</think><answer>b</answer><answer>c</answer>", 0),
    ("<think><think>a</think><answer>b</answer>", 0),
    ("<think>a</think><answer>b", 0), ("", 0), ("<think>" * 50_000, 0),
  ],
)  # fmt: skip
def test_format(text, worth):
  assert form("", text, {}) == worth


def test_closeness_grows_towards_the_answer():
  worth = [
    REWARDS["closeness"]("", text, {"answer": "100"})
    for text in ("none", "300", "150", "99", "100")
  ]
  assert worth == [0, 0, 0.5, 0.99, 1]
