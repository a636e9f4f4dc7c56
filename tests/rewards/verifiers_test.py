"""Rule-based rewards: what they accept, and what cannot fool or stall them."""

import math
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.rewards import REWARDS
from grpo_jax.rewards.numbers import last_number

number, exact, form = REWARDS["number"], REWARDS["exact"], REWARDS["format"]


@pytest.mark.parametrize(
  ("text", "answer"),
  [
    ("46", "46"), ("The sum is 46.", "46"), ("1,234", "1234"), ("$1,234.50!", "1234.5"),
    ("46.0", "46"), ("-5", "-5"), ("+5", "5"), ("5 - 10 = \N{MINUS SIGN}5", "-5"), ("**46**", "46"),
    (r"\boxed{46}", "46"), ("12 + 34 = 46\n", "46"), ("12-7", "7"), ("45, then 46", "46"),
    ("<answer>46</answer> of 3 tries", "46"), ("0046", "46"), ("-$5", "-5"), ("1) -5", "-5"),
    ("4e1", "40"), ("2.5E-1", "1/4"), ("1/2", "0.5"), ("-1/2", "-0.5"), (r"-\frac{1}{2}", "-1/2"),
    ("1{,}234", "1234"), (r"$1\,234$", "1234"), ("__46__", "46"), ("_46_", "46"), (".5", "1/2"),
    ("it is...46...", "46"), ("46%", "46"), ("\N{EN DASH}5", "-5"), ("40\N{EN DASH}46", "46"),
    ("\N{FULLWIDTH DIGIT FOUR}6", "46"), ("46" + " " * 5000, "46"), ("\u7b54" * 3000 + "46", "46"),
    ("$46 dollars", "$46.00"), ("0.1", "0.10"), ("0.3", "3/10"), ("3 -5", "-5"),
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
    "1e9" * 1000, "46 " * 3 + "7", "46e1", "46/2", "46/0", "1/46", "-$46", "9e999999999",
    "1e" + "9" * 1_000_000, "46e-9999", "1/" + "9" * 100_000, "1,234" * 200_000, ",123" * 200_000,
    "1946" + "a" * 1998, "-46" + "a" * 1998, "0." + "46" + "a" * 1998, r"\frac{1}{46}",
    "<answer>46</answer><answer>45</answer>", "<answer>46 45</answer>", "<answer></answer>", "x46",
  ],
)  # fmt: skip
def test_wrong_and_gamed_answers_are_worth_nothing_and_take_no_time(text):
  """Listing numbers gains nothing: only the last counts."""
  started = time.monotonic()
  assert number("", text, {"answer": "46"}) == 0
  assert time.monotonic() - started < 1


_HOSTILE = st.text(st.sampled_from("0123456789.,-+/eE$*_\\{}<>() \n") | st.characters(codec=None))


@given(_HOSTILE, st.sampled_from(sorted(REWARDS)))
def test_no_text_breaks_a_reward(text, name):
  assert 0 <= REWARDS[name]("", text, {"answer": "46"}) <= 1


@given(_HOSTILE)
def test_the_last_number_is_within_bounds(text):
  value = last_number(text * 50)
  assert value is None or max(abs(value.numerator), value.denominator) < 10**160


_VALUES = st.fractions(max_denominator=1) | st.decimals(-10_000, 10_000, places=2).map(Fraction)
_FORMS = st.sampled_from(
  ["{}", "**{}**", "= {}.", "\\boxed{{{}}}", "so ({})", "${}$ apples", "{}%"]
)


@given(_VALUES.map(lambda value: value % 10_000_000), st.booleans(), _FORMS)
def test_a_number_is_read_as_it_was_written(value, negative, form):
  value = -value if negative else value
  written = f"{float(value):,.2f}" if value.denominator > 1 else f"{value.numerator:,}"
  assert last_number("1 + 1 = " + form.format(written)) == value


@given(st.lists(st.integers(-99, 99), min_size=1), st.sampled_from([" ", ", ", "\n", " or ", ";"]))
def test_only_the_last_of_many_numbers_counts(values, between):
  text = between.join(map(str, values))
  assert number("", text, {"answer": "46"}) == (values[-1] == 46)


def test_without_a_number_in_the_answer_there_is_no_score():
  assert math.isnan(number("", "46", {"answer": "blue"}))
  assert math.isnan(REWARDS["closeness"]("", "46", {"answer": ""}))


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
    ("<think></think><answer>b</answer>", 0), ("<think>a</think><answer> </answer>", 0),
    ("<think>a\nb</think>\n\n<answer>\n1 < 2\n</answer>", 1),
    ("<think>" + "a" * 1_000_000, 0), (" " * 1_000_000 + "<think>", 0),
  ],
)  # fmt: skip
def test_format(text, worth):
  assert form("", text, {}) == worth


def test_closeness_grows_towards_the_answer():
  worth = [
    REWARDS["closeness"]("", text, {"answer": "100"})
    for text in ("none", "300", "150", "99", "100", "<answer>150</answer> 100")
  ]
  assert worth == [0, 0, 0.5, 0.99, 1, 0.5]


def test_random_is_a_fair_coin_that_falls_the_same_way_again():
  """A control for spurious gains: blind to the answer, and equal in a resumed run."""
  from grpo_jax.rewards.verifiers import coin

  rewards = [coin("q", f"answer {i}", {"answer": str(i)}) for i in range(2000)]
  assert set(rewards) == {0.0, 1.0}
  assert abs(sum(rewards) / 2000 - 0.5) < 0.05
  assert rewards == [coin("q", f"answer {i}", {"answer": "other"}) for i in range(2000)]
  assert coin("q", "\ud800", {}) in (0.0, 1.0)
