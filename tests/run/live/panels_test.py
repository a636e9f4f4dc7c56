"""What is drawn, on a terminal in memory: it fits, it tears nothing, and no text commands it."""

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grpo_jax.run.live.board import Board
from grpo_jax.run.live.panels import compose
from grpo_jax.run.live.screen import Screen

pyte = pytest.importorskip("pyte")
pytest.importorskip("rich")

_FIGURES = {
  "reward/mean": 0.5, "reward/number": 0.4, "reward/short": 0.1, "eval/accuracy": 0.3,
  "length/mean": 3.0, "policy/entropy": 1.0, "policy/kl_ref": 0.01, "policy/clip_low": 0.1,
  "policy/clip_high": 0.1, "train/grad_norm": 0.7, "train/lr": 1e-4, "time/tokens_per_s": 5e3,
}  # fmt: skip
_HOSTILE = "\x1b[2J\x1b[1;1H[bold red]x[/] [/] [link=a]\x07\x9b31m\u202e\r\b\n" * 3


def _board(text="an answer", warnings=1, figures=_FIGURES, members=0):
  board = Board(["sft", "rl"], now=0.0)
  board.begin("rl", 0, 100, [], now=0.0)
  for step in range(1, 31):
    board.step("rl", step, 100, {k: v * step for k, v in figures.items()}, 1.0, float(step))
  record = {"prompt": text, "completions": [text, "worse", text], "rewards": [1.0, 0.0, 0.5],
            "advantages": [1.0, -1.0, 0.0]}  # fmt: skip
  board.sample(30, record)
  for index in range(warnings):
    board.warn(f"warning: rl step {index}: [red]no signal[/]: " + "and so on, " * 20)
  for member in range(members):
    board.member(member, "rl", member, 100, {"reward/mean": member / 10})
  return board


class _Sized(Screen):
  """A screen of a size that is given."""

  size = (80, 24)

  def _measured(self):
    return os.terminal_size(self.size)


def _seen(board, columns, lines, *above, times=2):
  """The lines of a terminal after some drawings, the last of which has lines above it."""
  file = io.StringIO()
  _Sized.size = (columns, lines)
  screen = _Sized(file)
  for at in range(times):
    picture, now = board.picture(), 33.0 + at
    last = above if at == times - 1 else ()
    screen.draw(list(last), lambda *place, p=picture, t=now: compose(p, *place, t))
  terminal = pyte.HistoryScreen(columns, lines, history=100)
  terminal.set_mode(pyte.modes.LNM)
  pyte.Stream(terminal).feed(file.getvalue())
  past = ["".join(x[n].data for n in range(columns)) for x in terminal.history.top]
  return [line.rstrip() for line in past + terminal.display], file.getvalue()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (80, 50), (120, 30), (160, 50), (200, 12)])
@pytest.mark.parametrize("members", [0, 3, 40])
def test_it_fits_and_is_drawn_in_its_place(size, members):
  lines, _ = _seen(_board(members=members), *size, "said before", times=5)
  text = "\n".join(lines)
  assert sum(line.startswith("rl 30/100") for line in lines) == 1
  assert text.count("reward  ") >= 1
  assert text.count("learning rate") <= 1
  assert lines[0] == "said before"
  if not members and size[1] > 12:
    assert text.count("best 1.00  advantage +1.00") == 1
    assert text.count("worst 0.00  advantage -1.00") == 1
    assert text.count("an answer") >= 2
    assert "no signal" in text
  if members == 40 and size[1] < 50:
    assert "+" in text


def test_side_by_side_in_an_ordinary_terminal_and_below_each_other_in_a_narrow_one():
  lines, _ = _seen(_board(), 80, 24)
  assert any("best" in line and "worst" in line for line in lines)
  lines, _ = _seen(_board(), 60, 24)
  assert not any("best" in line and "worst" in line for line in lines)
  lines, _ = _seen(_board(), 160, 24)
  (row,) = [line for line in lines if "best" in line]
  assert "worst" in row
  assert any(line.split()[:1] == ["now"] and "prompt" in line for line in lines)


@pytest.mark.fault(35)
@pytest.mark.parametrize("size", [(60, 20), (160, 40)])
def test_text_of_a_model_is_text(size):
  lines, written = _seen(_board(text=_HOSTILE), *size)
  text = "\n".join(lines)
  assert "[bold red]x[/] [/] [link=a]31m" in text
  assert "[red]no signal[/]" in text
  assert text.count("rl 30/100") == 1
  for sequence in ("\x1b[2J", "\x1b[1;1H", "\x07", "\x9b", "\u202e", "\x1b]8", "\b"):
    assert sequence not in written


@pytest.mark.fault(35)
@settings(max_examples=10, deadline=None)
@given(st.text(max_size=300) | st.text("世界🙂👨‍👩‍👧e\u0301\u200d\ufe0f\u0000 \n[", max_size=300))
def test_no_text_moves_the_view(text):
  lines, written = _seen(_board(text=text), 80, 24, times=3)
  assert lines[0].startswith("rl 30/100")
  assert "\n".join(lines).count("rl 30/100") == 1
  assert written.count("\x1b[?7l") == written.count("\x1b[?7h") == 3


def test_nothing_is_known_at_first():
  board = Board(["rl"], now=0.0)
  board.begin("rl", 0, 10, [], now=0.0)
  lines, _ = _seen(board, 80, 24)
  assert lines[0].startswith("rl 0/10")
  assert "starting, with compiling" in lines[1]
  board.step("rl", 1, 10, {"reward/mean": 0.5}, spent=2.0, now=2.0)
  lines, _ = _seen(board, 80, 24)
  assert "in work" in lines[1]


def test_each_drawing_leaves_the_terminal_as_it_was():
  _, written = _seen(_board(), 80, 24, times=4)
  parts = written.split("\x1b[?2026h")[1:]
  assert len(parts) == 4
  assert all(part.endswith("\n\x1b[?7h\x1b[?25h\x1b[?2026l") for part in parts)


def test_another_width_is_drawn_on_an_empty_screen():
  file = io.StringIO()
  _Sized.size = (140, 24)
  screen, board = _Sized(file), _board()
  draw = lambda *place: compose(board.picture(), *place, 31.0)  # noqa: E731
  screen.draw([], draw)
  _Sized.size = (60, 24)
  screen.draw([], draw)
  assert file.getvalue().count("\x1b[H\x1b[J") == 1


def test_a_terminal_that_is_gone_is_no_fault_of_the_run():
  class Gone(io.StringIO):
    def write(self, text):
      raise OSError(5, "Input/output error")

  _Sized.size = (80, 24)
  _Sized(Gone()).draw(["a"], lambda *place: compose(_board().picture(), *place, 31.0))
