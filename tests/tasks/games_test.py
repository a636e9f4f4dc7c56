"""The environments that come with grpo_jax: a guessing game, a calculator and its arithmetic."""

import pytest

from grpo_jax import config, tasks
from grpo_jax.tasks import Turn
from grpo_jax.tasks.expression import evaluate


def test_guesses_are_told_higher_or_lower():
  task = tasks.build(config.Guess(low=1, high=15, discount=0.5))
  example = next(e for e in task.held_out(15) if e.fields["answer"] == "11")
  game = task.reset(example)
  said = [game.step(text) for text in ("8", "I say 12.", "well", "11")]
  assert said == [
    Turn("higher", 0.0, done=False),
    Turn("lower", 0.0, done=False),
    Turn("a number", 0.0, done=False),
    Turn("", 0.125, done=True),
  ]


def test_every_number_is_held_out_once_and_no_question_tells_it():
  task = tasks.build(config.Guess(low=3, high=9))
  held = task.held_out(7)
  assert sorted(int(example.fields["answer"]) for example in held) == list(range(3, 10))
  assert {example.question for example in held} == {"Guess a number from 3 to 9."}
  with pytest.raises(config.ConfigError, match="there are 7 numbers from 3 to 9"):
    task.held_out(8)


def test_shown_guesses_are_possible_ones_unless_clumsy():
  for clumsy, wasted in ((0.0, False), (1.0, True)):
    task = tasks.build(config.Guess(low=1, high=15, clumsy=clumsy))
    repeated = 0
    for example in task.sample(0, 1, 200):
      number, low, high = int(example.fields["answer"]), 1, 15
      assert 1 <= len(example.turns) <= 8
      for guess in map(int, example.turns):
        repeated += not low <= guess <= high
        low, high = (max(low, guess + 1), high) if guess < number else (low, min(high, guess - 1))
      assert example.turns[-1] == str(number) or len(example.turns) == 8
    assert (repeated > 0) == wasted


def test_a_sample_is_a_function_of_its_arguments():
  for kind in (config.Guess(clumsy=0.5), config.Calculator(called=0.5)):
    task = tasks.build(kind)
    assert task.sample(1, 2, 9) == tasks.build(kind).sample(1, 2, 9)
    assert task.sample(1, 2, 9) != task.sample(1, 3, 9)
    assert task.sample(1, 2, 9) != task.sample(2, 2, 9)


def test_calls_are_answered_and_what_has_none_is_the_answer():
  task = tasks.build(config.Calculator())
  example = task.sample(0, 0, 1)[0]
  a, b = example.fields["a"], example.fields["b"]
  assert example.turns == (f"={a}*{b}=", str(a * b))
  episode = task.reset(example)
  assert episode.step(f"={a}*{b}=") == Turn(str(a * b), 0.0, done=False)
  assert episode.step("=1*1= or =2**3=") == Turn("8", 0.0, done=False)
  assert episode.step("=import os=") == Turn("error", 0.0, done=False)
  assert episode.step(f"It is {a * b}.") == Turn("", 1.0, done=True)
  assert task.reset(example).step("7") == Turn("", 0.0, done=True)


def test_a_share_of_the_solutions_calls():
  task = tasks.build(config.Calculator(called=0.3))
  calls = [len(example.turns) == 2 for example in task.sample(0, 0, 1000)]
  assert sum(calls) / 1000 == pytest.approx(0.3, abs=0.06)


def test_held_out_products_are_never_trained_on():
  task = tasks.build(config.Calculator(low=10, high=20))
  held = {frozenset((e.fields["a"], e.fields["b"])) for e in task.held_out(10)}
  shown = (task.sample(0, step, 50) for step in range(20))
  assert not held & {frozenset((e.fields["a"], e.fields["b"])) for some in shown for e in some}


@pytest.mark.parametrize(
  ("text", "value"),
  [
    ("12*34", "408"),
    (" (1 + 2) * -3 ", "-9"),
    ("1/3", "0.333333"),
    ("7//2", "3"),
    ("-7 % 3", "2"),
    ("2**-3", "0.125"),
    (".5+.5", "1"),
    ("2**64", "18446744073709551616"),
  ],
)
def test_arithmetic(text, value):
  assert evaluate(text) == value


@pytest.mark.parametrize(
  "text",
  [
    *("", "()", "1/0", "0**-1", "9**9**9", "2**600", "10**65", "(9**60)**60", "2**0.5", "007"),
    *("1 2", "1e9", "x", "1_0", "2(3)", "1,2", "1<2", "True", "'a'*9", "\N{SUPERSCRIPT TWO}"),
    *("1" * 65, "(" * 32 + "1" + ")" * 31, "__import__('os')"),
  ],
)
def test_what_is_no_arithmetic_or_too_large_is_an_error_at_once(text):
  assert evaluate(text) == "error"


def test_questions_with_other_placeholders_are_refused():
  with pytest.raises(config.ConfigError, match=r"only \{low\} and \{high\}"):
    tasks.build(config.Guess(question="{number}?"))
  with pytest.raises(config.ConfigError, match=r"only \{a\} and \{b\}"):
    tasks.build(config.Calculator(question="{a} {b} {c}"))
