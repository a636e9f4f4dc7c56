"""Sparklines, series, pace, rows and the division of a terminal: numbers worked by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.run.live.board import Board
from grpo_jax.run.live.layout import divide
from grpo_jax.run.live.pace import Pace, in_words
from grpo_jax.run.live.rows import chosen, number
from grpo_jax.run.live.series import Series
from grpo_jax.run.live.sparkline import sparkline

_NAN = math.nan


@pytest.mark.parametrize(
  ("values", "width", "signs"),
  [
    ([], 5, ""),
    ([1.0], 0, ""),
    ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
    ([7, 0], 9, "█▁"),
    ([3, 3, 3], 9, "▁▁▁"),
    ([0, _NAN, 1], 9, "▁ █"),
    ([_NAN, math.inf], 9, "  "),
    ([0, 0, 2, 2], 2, "▁█"),
    ([0, _NAN, 2, 2, 4, 4], 3, "▁▅█"),
    ([-1.5e308, 1.5e308], 2, "▁█"),
  ],
)
def test_sparklines(values, width, signs):
  assert sparkline(values, width) == signs


@given(st.lists(st.floats(), max_size=40), st.integers(0, 20))
def test_a_sparkline_is_never_wider(values, width):
  assert len(sparkline(values, width)) <= min(width, len(values))


def test_a_series_has_its_newest_and_the_mean_of_the_last_ten():
  series = Series()
  assert math.isnan(series.now)
  assert math.isnan(series.recent)
  for value in range(20):
    series.add(value)
  assert (series.now, series.recent) == (19, 14.5)
  assert series.course == list(range(20))
  series.add(_NAN)
  assert math.isnan(series.now)
  assert series.recent == 15  # of 11 to 19


def test_a_long_series_is_kept_short_and_whole():
  series = Series()
  for value in range(100_001):
    series.add(value)
  course = series.course
  assert len(course) <= 257
  assert course == sorted(course)
  assert course[0] < 1000
  assert course[-1] > 99_000


def test_pace_forgets_the_first_step_s_compilation():
  pace = Pace()
  assert math.isnan(pace.per_second)
  pace.add(0.0, 0)
  for step in range(1, 61):
    pace.add(100.0 + step, step)
  assert pace.per_second == pytest.approx(1.0)


def test_steps_told_of_at_once_are_one_point():
  pace = Pace()
  for call in range(1, 5):
    for step in range(50):
      pace.add(10.0 * call + step / 1000, 50 * call + step - 49)
  assert pace.per_second == pytest.approx(5.0, rel=0.01)


@pytest.mark.parametrize(
  ("per_second", "words"),
  [(3.21, "3.2 steps/s"), (0.25, "4.0 s/step"), (_NAN, "-"), (0.0, "-"), (math.inf, "inf steps/s")],
)
def test_pace_in_words(per_second, words):
  assert in_words(per_second) == words


def _labels(*figures):
  return [label.strip() for _, label, _ in chosen(figures)]


def test_rows_are_those_that_are_there_in_their_order():
  assert _labels("train/lr", "loss/sft", "time/step_s") == ["loss", "learning rate"]
  figures = ["policy/kl_old", "length/mean", "reward/mean", "reward/std", "reward/number"]
  assert _labels(*figures) == ["reward", "length", "KL to old policy"]


def test_several_rewards_have_a_row_each_and_so_have_held_out_scores():
  figures = ["eval/accuracy", "eval/helpful", "eval/problems", "eval/reward_margin", "reward/mean",
             "reward//a/own.py:fn", "reward/number", "reward/number/weighted",
             "reward/failed/error",
             "reward/correlation/number/b"]  # fmt: skip
  assert _labels(*figures) == [
    "reward",
    "own.py:fn",
    "number",
    "held-out accuracy",
    "held-out helpful",
  ]


def test_values_are_written_by_their_row():
  assert number(_NAN, ".3f") == "-"
  assert number(12345.0, "short") == "12k"
  assert number(3e-5, ".1e") == "3.0e-05"


@given(
  st.integers(20, 200), st.integers(1, 70), st.integers(0, 25), st.integers(0, 60), st.booleans(),
  st.integers(0, 40),
)  # fmt: skip
def test_the_parts_fit_in_every_terminal(columns, lines, rows, warnings, sample, members):
  found = divide(columns, lines, rows, warnings, sample=sample, members=members)
  table = found.rows + 1 if found.rows else 0
  side = found.text
  if not members and found.text:
    side = found.text + 1 if found.beside else 2 * found.text + 2
    side += found.prompt
  body = max(table, side) if found.wide else table + side
  assert min(found.rows, found.text, found.prompt, found.warnings) >= 0
  assert body + found.warnings <= max(lines - 2, 0)


def test_a_small_terminal_has_the_figures_that_matter_and_an_answer():
  found = divide(80, 19, 14, 3, sample=True)
  assert found.rows >= 8
  assert found.text >= 2
  assert found.warnings == 1
  narrow = divide(60, 19, 14, 0, sample=True)
  assert narrow.rows >= 8
  assert narrow.text >= 1


def test_a_resumed_stage_has_its_course_from_before():
  board = Board(["sft", "rl"], now=0.0)
  lines = [{"stage": "rl", "step": n, "train/lr": n / 10, "loss/x": None} for n in (1, 2)]
  newest = {"train/lr": 0.3, "policy/clip_low": 0.1, "policy/clip_high": 0.2}
  board.begin("rl", 2, 9, lines, now=1.0)
  board.step("rl", 3, 9, newest, 1.0, 3.0)
  picture = board.picture()
  rows = {row.label: row for row in picture.rows}
  assert rows["learning rate"].course == (0.1, 0.2, 0.3)
  assert rows["clip fraction"].now == "0.300"
  assert (picture.place, picture.step, picture.steps) == ("stage 2 of 2", 3, 9)
  assert (picture.per_second, picture.left) == (1.0, 6.0)


def test_with_one_update_a_rollout_clips_and_kl_have_no_row():
  board = Board(["rl"], now=0.0)
  figures = {"policy/clip_low": 0.0, "policy/clip_high": 0.0, "policy/kl_old": 0.0, "train/lr": 0.0}
  board.step("rl", 1, 9, figures, 1.0, 1.0)
  assert [row.label for row in board.picture().rows] == ["learning rate"]
  board.step("rl", 2, 9, figures | {"policy/clip_low": 0.1, "policy/kl_old": 0.1}, 1.0, 2.0)
  assert len(board.picture().rows) == 3


def test_warnings_are_counted_beyond_those_that_are_kept():
  board = Board(["rl"], now=0.0)
  for index in range(120):
    board.warn(f"warning {index}")
  picture = board.picture()
  assert (picture.warned, len(picture.warnings)) == (120, 50)
  assert picture.warnings[-1] == "warning 119"


def test_a_stage_begins_anew():
  board = Board(["rl"], now=0.0)
  board.begin("rl", 0, 9, [], now=1.0)
  board.step("rl", 1, 9, {"train/lr": 0.3}, 4.0, 3.0)
  board.sample(1, {"prompt": "q"})
  assert board.picture().left == 32.0  # by what each was, until there are two
  board.begin("next", 0, 5, [], now=9.0)
  picture = board.picture()
  assert (picture.stage, picture.step, picture.rows, picture.sample) == ("next", 0, (), None)
