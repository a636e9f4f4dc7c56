"""The text of a search space: what it means, and the line about each mistake."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.config import ConfigError
from grpo_jax.sweep.space import Range, parse

_NUMBERS = st.floats(1e-9, 1e9, allow_nan=False)


def test_each_function_is_its_range():
  text = (
    "a.lr=log(1e-6,1e-3); b = uniform( 0.7 , 1.2 )\nc=int(-2,9);d=logint(1,64); config.e=choice(x)"
  )
  assert parse(text) == {
    "a.lr": Range(1e-6, 1e-3, log=True),
    "b": Range(0.7, 1.2),
    "c": Range(-2, 9, whole=True),
    "d": Range(1, 64, whole=True, log=True),
    "e": Range(choices=("x",)),
  }


def test_choices_are_words_numbers_and_truths():
  found = parse("a=choice(gspo, 'a;b(c', 0.2, -3, True)")["a"].choices
  assert found == ("gspo", "a;b(c", 0.2, -3, True)


def test_steps_end_within_the_range():
  assert parse("a=uniform(0, 1, 0.3)")["a"].high == pytest.approx(0.9)
  assert parse("a=int(0, 9, 4)")["a"].grid("a") == [0, 4, 8]
  assert parse("a=uniform(0.1, 1, 0.1)")["a"].grid("a") == pytest.approx(
    [n / 10 for n in range(1, 11)]
  )
  assert parse("a=choice(x, y)")["a"].grid("a") == ["x", "y"]


@pytest.mark.parametrize(
  ("text", "words"),
  [
    ("", ["is empty"]),
    (" ; \n", ["is empty"]),
    ("lr", ["'lr' is not FIELD=FUNCTION(...)"]),
    ("lr=3", ["is not FIELD=FUNCTION(...)"]),
    ("lr=lgo(1,2)", ["no function 'lgo'", "did you mean 'log'?"]),
    ("lr=qqqqq(1,2)", ["known are log, uniform, int, logint, choice"]),
    ("lr=log(1)", ["log(low, high)"]),
    ("lr=log(1,2,3)", ["log(low, high)"]),
    ("lr=uniform(a,b)", ["uniform(low, high, step)", "of numbers"]),
    ("lr=int(0, True)", ["of numbers"]),
    ("lr=log(0,1)", ["low must be above 0"]),
    ("lr=log(2,1)", ["low must be below high"]),
    ("lr=uniform(1,1)", ["low must be below high"]),
    ("lr=uniform(0,1e999)", ["finite"]),
    ("lr=int(0.5,3)", ["whole"]),
    ("lr=uniform(0,1,0)", ["step must be above 0"]),
    ("lr=uniform(0,1,2)", ["at most 1"]),
    ("lr=choice()", ["choice(value"]),
    ("lr=choice(1,1)", ["twice"]),
    ("lr=choice(None,1)", ["None is no number"]),
    ("lr=choice((1,2))", ["(1, 2) is no number"]),
    ("lr=log(low=1,high=2)", ["no names"]),
    ("lr=log(1,,2)", ["cannot be read"]),
    ("lr=log(1,2) x=int(1,2)", ["cannot be read: entries are separated by ;"]),
    ("lr=log(1,2); lr=log(1,3)", ["lr is there twice"]),
  ],
)
def test_a_mistake_is_one_line(text, words):
  with pytest.raises(ConfigError) as error:
    parse(text)
  line = str(error.value)
  assert line.startswith("--space")
  assert "\n" not in line
  assert all(word in line for word in words), line


@given(st.tuples(_NUMBERS, _NUMBERS), st.sampled_from(["log", "uniform"]))
def test_what_is_written_is_read_and_sampled_within(bounds, function):
  low, high = sorted(bounds)
  if low == high:
    return
  found = parse(f"a={function}({low!r},{high!r})")["a"]
  assert (found.low, found.high) == (low, high)
  middle = optuna.trial.FixedTrial({"a": (low + high) / 2})
  assert low <= found.suggest(middle, "a") <= high


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.integers(1, 50))
def test_a_grid_has_every_step(low, length, step):
  if step > length:
    return
  values = parse(f"a=int({low}, {low + length}, {step})")["a"].grid("a")
  assert values == list(range(low, low + length + 1, step))


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_in_a_line(text):
  try:
    parse(text)
  except ConfigError as error:
    assert "\n" not in str(error)  # noqa: PT017, either is right
