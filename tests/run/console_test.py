"""What a person sees: plain text on a line of its own, whatever a model wrote."""

import math
import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.run import console

_ALL = {
  "reward/mean": 0.5, "loss/sft": 0.25, "length/mean": 12.0, "policy/entropy": 1.5,
  "policy/kl_old": 0.001, "policy/kl_ref": 0.002, "train/grad_norm": 0.75, "train/lr": 3e-5,
  "time/tokens_per_s": 1234.5, "time/step_s": 2.0,
}  # fmt: skip


def _without(name):
  return {key: value for key, value in _ALL.items() if key != name}


def test_a_step_has_its_figures():
  assert console.step_line("grpo", 7, 100, _ALL, 200) == (
    "grpo   7/100  reward  0.50  loss 0.2500  len  12.0  H 1.50  KL 0.0020  grad  0.75"
    "  lr 3.0e-05  1.2k tok/s    2.0s  left 3m20s"
  )
  assert "  KL 0.0010  " in console.step_line("grpo", 7, 100, _without("policy/kl_ref"), 200)


def test_lines_of_a_run_stand_in_columns_of_an_ordinary_terminal():
  early = _without("loss/sft") | {"reward/mean": -0.25, "train/grad_norm": 12.5, "length/mean": 512}
  late = _without("loss/sft") | {"time/step_s": 112.9, "policy/entropy": math.nan}
  lines = [
    console.step_line("grpo", 9, 100, early, 45), console.step_line("grpo", 100, 100, late, 7500)
  ]  # fmt: skip
  assert lines[0].index("left") == lines[1].index("left")
  assert lines[0].index("lr") == lines[1].index("lr")
  assert max(map(len, lines)) <= 112


def test_figures_that_are_missing_are_left_out_and_nan_is_a_dash():
  assert console.step_line("sft", 1, 9, {}, 5) == "sft 1/9  left 5s"
  figures = {"reward/mean": math.nan, "train/lr": 1e-3, "unknown": 1.0}
  assert console.step_line("sft", 1, 9, figures, 5) == "sft 1/9  reward     -  lr 1.0e-03  left 5s"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e30])
def test_no_figure_breaks_the_line(value):
  line = console.step_line("grpo", 1, 9, dict.fromkeys(_ALL, value), value)
  assert "\n" not in line


@pytest.mark.parametrize(
  ("count", "text"),
  [(0.4, "0"), (58.2, "58"), (999.6, "1.0k"), (1234, "1.2k"), (9949, "9.9k"), (9960, "10k"),
   (123_456, "123k"), (3.4e6, "3.4M")],
)  # fmt: skip
def test_tokens_are_shortened(count, text):
  assert f" {text} tok/s" in console.step_line("a", 1, 1, {"time/tokens_per_s": count}, 0)


@pytest.mark.fault(35)
@pytest.mark.parametrize(
  ("text", "seen"),
  [
    ("plain", "plain"),
    ("two\nlines\r\n", "two⏎lines⏎"),
    ("a\tb", "a b"),
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b[2J\x1b[1;1Hgone", "gone"),
    ("\x1b]0;title\x07", "]0;title"),
    ("\x9b31mred", "31mred"),
    ("back\b\b\b\bover\r", "backover"),
    ("\ud800lone", "lone"),
    ("x" * 90, "x" * 90),
    ("x" * 91, "x" * 89 + "…"),
    ("x" * 1_000_000, "x" * 89 + "…"),
    ("\x1b[31m" * 1000, ""),
  ],
)
def test_text_of_a_model_cannot_command_the_terminal(text, seen):
  assert console.shown(text) == seen


@pytest.mark.fault(35)
@given(st.text(st.characters(), max_size=200) | st.text("\x1b[0;31mK\x9b?\n\u202e a", max_size=200))
def test_no_text_leaves_its_line(text):
  seen = console.shown(text)
  assert len(seen) <= 90
  assert seen.splitlines() in ([], [seen])
  assert not [c for c in seen if unicodedata.category(c) in ("Cc", "Cs")]
  assert not re.search("[\u202a-\u202e\u2066-\u2069]", seen)
  seen.encode()


def test_a_sample_shows_the_best_and_the_worst_answer():
  block = console.sample_block("2 + 2?", ["3", "4", "five\n"], [0.0, 1.0, -0.5], [-0.1, 1.2, -1.1])
  assert block.splitlines() == [
    "  prompt  2 + 2?",
    "  best    1.00 (advantage +1.20)  4",
    "  worst   -0.50 (advantage -1.10)  five⏎",
  ]


def test_rewards_are_ranked():
  assert console.ranked([0.5, math.nan, -1.0, 2.0]) == [1, 2, 0, 3]
  assert console.ranked([]) == []


def test_an_answer_without_a_score_is_the_worst():
  nan = math.nan
  lines = console.sample_block("q", ["a", "b", "c"], [0.5, nan, 0.2], [1.0, 0.0, -1.0]).splitlines()
  assert lines[1].endswith("  a")
  assert lines[2].endswith("  b")
  assert console.sample_block("q", ["a", "b"], [nan, nan], [0.0, 0.0]).count("nan") == 2


@pytest.mark.parametrize(
  ("seconds", "text"),
  [
    (math.nan, "-"),
    (math.inf, "-"),
    (-3, "0s"),
    (0, "0s"),
    (59.4, "59s"),
    (59.6, "1m00s"),
    (200, "3m20s"),
    (3599.9, "1h00m"),
    (7500, "2h05m"),
  ],
)
def test_durations(seconds, text):
  assert console.duration(seconds) == text


def test_the_end_says_how_it_went_and_where_it_is(monkeypatch):
  monkeypatch.setattr(console.shutil, "which", lambda name: f"/bin/{name}")
  monkeypatch.setattr(console.sys, "executable", "/bin/python")
  text = console.closing("runs/a", (0.1234, 0.9), "runs/a/learning_curve.png")
  assert "held-out accuracy 0.123 -> 0.900" in text
  assert "runs/a/learning_curve.png" in text
  assert "runs/a/samples.jsonl" in text
  assert "next              python -m experiments.evaluate --workdir=runs/a\n" in text
  assert "                  tensorboard --logdir runs/a" in text
  assert "--logdir 'my runs/a'" in console.closing("my runs/a", (0.1, 0.9), None)
  assert "learning curve" not in console.closing("runs/a", None, None)
  monkeypatch.setattr(console.shutil, "which", lambda name: None)
  assert "tensorboard" not in console.closing("runs/a", (0.1, 0.9), None)


def test_the_interpreter_is_named_as_it_can_be_typed(monkeypatch):
  """Beside an environment that is not activated `python` is another, or none."""
  monkeypatch.setattr(console.shutil, "which", lambda name: "/usr/bin/python")
  monkeypatch.setattr(console.sys, "executable", os.path.abspath(".venv/bin/python"))
  assert console.python() == ".venv/bin/python"
  monkeypatch.setattr(console.sys, "executable", "/opt/my env/bin/python")
  assert console.python() == "'/opt/my env/bin/python'"


def test_an_evaluation_on_a_line():
  figures = {"eval/accuracy": 0.5, "eval/problems": 200.0, "eval/length": 3.0, "eval/safe": 0.25}
  line = console.evaluation_line("grpo", 20, figures)
  assert line == "grpo after step 20: held-out accuracy 0.500 on 200 problems, safe 0.250"
  only = console.evaluation_line("rm", 5, {"eval/reward_margin": float("nan")})
  assert only == "rm after step 5: reward_margin -"


def test_scores_after_each_stage_are_a_table():
  evaluations = [
    {"stage": "sft", "step": 0, "eval/accuracy": 0.0, "eval/safe": None},
    {"stage": "sft", "step": 5, "eval/accuracy": 0.25, "eval/safe": 0.5},
    {"stage": "sft", "step": 9, "eval/accuracy": 0.5, "eval/safe": 1.0},
    {"stage": "grpo", "step": 4, "eval/accuracy": 0.75, "eval/safe": 1.0},
  ]
  assert console.stage_table(evaluations, ["safe"]).splitlines()[1:] == [
    "             accuracy   safe",
    "      start     0.000      -",
    "after sft       0.500  1.000",
    "after grpo      0.750  1.000",
  ]
