"""Which view is taken, and what becomes of one that fails."""

import importlib.util
import os
import sys
import time

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes
from grpo_jax.run.live import Live, live, make_view
from grpo_jax.run.live.aside import Aside


def _made(choice="auto", quiet=False, put=print):
  return make_view(choice, put, "folder", ["rl"], quiet=quiet)


def _terminal(monkeypatch):
  """From here on all is in a place where a view can be drawn."""
  monkeypatch.setattr(os, "isatty", lambda number: True)
  monkeypatch.setattr(sys, "stdout", _Tty())
  monkeypatch.setenv("TERM", "xterm")


class _Tty:
  encoding = "utf-8"

  def isatty(self):
    return True

  def write(self, text):
    return len(text)

  def flush(self):
    pass


@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="rich is not installed")
def test_in_a_terminal_it_is_drawn(monkeypatch):
  _terminal(monkeypatch)
  assert isinstance(_made(), Live)
  assert isinstance(_made("live"), Live)
  assert not isinstance(_made("plain"), Live)
  assert not isinstance(_made(quiet=True), Live)


def test_without_a_terminal_it_is_told_in_lines():
  assert not isinstance(_made(), Live)
  with pytest.raises(ConfigError, match="--view=live: standard output is no terminal"):
    _made("live")


@pytest.mark.parametrize(
  ("change", "reason"),
  [
    (lambda m: m.setenv("TERM", "dumb"), "TERM=dumb cannot be drawn on"),
    (lambda m: m.delenv("TERM"), "TERM= cannot be drawn on"),
    (lambda m: m.setattr(_Tty, "encoding", "latin-1"), "encoding is latin-1"),
    (lambda m: m.setattr(processes, "count", lambda: 2), "several processes"),
    (lambda m: m.setitem(sys.modules, "rich.console", None), r"grpo_jax\[report\]"),
  ],
)
def test_where_it_cannot_be_drawn_it_is_told_in_lines(monkeypatch, change, reason):
  _terminal(monkeypatch)
  change(monkeypatch)
  assert not isinstance(_made(), Live)
  with pytest.raises(ConfigError, match=reason):
    _made("live")


def test_what_contradicts_is_refused():
  with pytest.raises(ConfigError, match="a live view is not quiet"):
    _made("live", quiet=True)
  with pytest.raises(ConfigError, match="expected auto, live or plain"):
    _made("loud")


def test_a_view_that_has_nowhere_to_put_what_is_printed_is_lines(tmp_path):
  lines = []
  view = Live(lines.append, str(tmp_path / "missing"), ["rl"])
  view.begin("rl", 0, 2, [])
  view.step("rl", 1, 2, {"reward/mean": 0.5}, 1.0)
  view.closing("the end")
  assert lines[0].startswith("no live view: ")
  assert lines[1].startswith("rl 1/2  reward  0.50")
  assert lines[2] == "the end"


def test_a_fault_in_drawing_is_told_and_lines_follow(tmp_path, monkeypatch):
  def broken(*_):
    raise ZeroDivisionError("a bug")

  pytest.importorskip("rich")
  monkeypatch.setattr(live, "compose", broken)
  monkeypatch.setattr(live, "_EVERY", 0.01)
  master, slave = os.openpty()
  monkeypatch.setattr(Aside, "_terminals", lambda self: [])
  monkeypatch.setattr(Aside, "terminal", lambda self: os.dup(slave))
  view = Live(print, str(tmp_path), ["rl"])
  view.begin("rl", 0, 2, [])
  while not view._broken:
    pass
  view.step("rl", 1, 2, {"reward/mean": 0.5}, 1.0)
  view.close()
  seen = os.read(master, 1 << 16).decode()
  assert "no more live view: ZeroDivisionError: a bug" in seen
  assert seen.count("rl 1/2  reward  0.50") == 1


def test_a_terminal_that_is_held_does_not_hold_up_the_end(tmp_path, monkeypatch):
  """As by Ctrl-S: who writes to it waits."""
  import termios

  pytest.importorskip("rich")
  monkeypatch.setattr(live, "_EVERY", 0.01)
  monkeypatch.setattr(live, "_PATIENCE", 0.2)
  _, slave = os.openpty()
  monkeypatch.setattr(Aside, "_terminals", lambda self: [])
  monkeypatch.setattr(Aside, "terminal", lambda self: os.dup(slave))
  lines = []
  view = Live(lines.append, str(tmp_path), ["rl"])
  termios.tcflow(slave, termios.TCOOFF)
  view.begin("rl", 0, 2, [])
  thread = view._thread
  time.sleep(0.3)
  before = time.monotonic()
  view.closing("the end")
  assert time.monotonic() - before < 2
  assert lines == ["the end"]
  assert thread.is_alive()
  termios.tcflow(slave, termios.TCOON)
  thread.join(5)
  assert not thread.is_alive()


def test_progress_without_an_end_of_line_is_not_kept(tmp_path, monkeypatch):
  monkeypatch.setattr(Aside, "_terminals", lambda self: [])
  path = tmp_path / "log"
  aside = Aside(str(path))
  with open(path, "ab", buffering=0) as file:
    for share in range(0, 100, 10):
      file.write(b"#" * 50 + f" {share}%\r".encode())
      assert aside.lines() == []
      assert len(aside._rest) < 60
    file.write(b"\nnext\r")
    assert aside.lines() == ["#" * 50 + " 90%"]
    file.write(b"\n" + b"x" * 200_000)
    assert aside.lines() == ["next"]
    for _ in range(4):
      aside.lines()
    assert len(aside._rest) == 1 << 16
  aside.close()


def test_what_is_written_by_number_is_read_by_line(tmp_path, monkeypatch):
  """Both numbers are those of another file, as if it were the terminal."""
  code = (
    "import os, subprocess, sys\n"
    "from grpo_jax.run.live.aside import Aside\n"
    "Aside._terminals = lambda self: [1, 2]\n"
    "open(sys.argv[1], 'w').write('of an earlier run\\n')\n"
    "aside = Aside(sys.argv[1])\n"
    "print('printed'); os.write(2, b'raw \\x1b[2J\\n'); subprocess.run(['echo', 'child'])\n"
    "sys.stdout.flush(); print(' 10%\\r 20%\\r 30%', file=sys.stderr)\n"
    "first = aside.lines()\n"
    "os.write(1, 'half ä'.encode()[:-1]); second = aside.lines()\n"
    "os.write(1, 'ä'.encode()[-1:]); third = aside.close()\n"
    "print(sorted(first), second, third)\n"
  )
  import subprocess

  done = subprocess.run(
    [sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True, check=True
  )
  assert done.stdout == "[' 30%', 'child', 'printed', 'raw '] [] ['half ä']\n"
