"""A real run in a pseudo terminal: what a person sees, and what is left when it ends."""

import os
import re

import pytest

from tests.faults import tiny

pytest.importorskip("rich")
pytest.importorskip("pyte")

from tests.run.live.terminal import Terminal

# Rewards in the run's own process that print in every way there is.
_LOUD = """
import logging, os, subprocess, sys, time
from grpo_jax import config
from tests.faults import tiny
def get_config():
  found = tiny.get_config()
  found.stages["rl"].steps = 40
  found.stages["rl"].rewards = {__file__ + ":loud": 1.0, "random": 0.5}
  found.scoring = config.Scoring(workers=0)
  return found
def loud(prompt, completion, fields):
  calls.append(completion)
  if len(calls) % 16 == 1:
    time.sleep(0.7)
    number = len(calls) // 16
    print(f"printed {number}")
    logging.getLogger("other").warning("logged %d", number)
    os.write(2, f"raw {number}\\n".encode())
    subprocess.run(["sh", "-c", f"echo child {number}; echo '\\033[2J' >&2"])
    sys.stderr.write(f"\\x1b[31mhalf {number}")
    sys.stderr.write(" and half\\n")
  return len(completion)
calls = []
"""


def _terminal(workdir, *flags, file="tests/faults/tiny.py", columns=80, lines=24):
  command = tiny.command(workdir, *flags, file=str(file))
  return Terminal(command, columns, lines, **tiny.environment())


@pytest.fixture(scope="module")
def loud(tmp_path_factory):
  """A run that prints, its screen while it went on, and its terminal after Ctrl-C."""
  folder = tmp_path_factory.mktemp("loud")
  (folder / "own.py").write_text(_LOUD)
  terminal = _terminal(folder / "run", file=folder / "own.py")
  terminal.until(lambda seen: re.search("rl [2-9]/40", seen) and "best" in seen)
  seen = terminal.shown()
  terminal.type(b"\x03")
  assert terminal.wait() == 130
  return seen, terminal, folder / "run"


def test_bar_table_and_answers_are_seen(loud):
  lines = loud[0].splitlines()
  bar = next(line for line in lines if line.startswith("rl "))
  assert re.search(r"rl [2-9]/40 .*━.* \d+%  .* left ", bar)
  for label in (
    "reward",
    "own.py:loud",
    "random",
    "held-out accuracy",
    "length",
    "entropy",
    "gradient norm",
  ):
    assert sum(line.strip().startswith(label) for line in lines) == 1, label
  assert re.search("learning rate +1.0e-02 +1.0e-02 +▁", loud[0])
  assert "prompt of step" in loud[0]
  assert re.search(r"best [\d.]+  advantage \+[\d.]+ +worst [\d.]+  advantage -", loud[0])


def test_what_others_print_stands_whole_above_and_tears_nothing(loud):
  _, terminal, workdir = loud
  lines = terminal.all().splitlines()
  for number in range(3):
    for said in ("printed {}", "raw {}", "child {}", "half {} and half"):
      assert lines.count(said.format(number)) == 1, said
    assert sum(line.endswith(f"logged {number}") for line in lines) == 1
  # The view stands once, at its last: no part of it was left behind.
  assert sum(line.startswith("rl ") and "━" in line for line in lines) == 1
  assert sum(line.strip().startswith("learning rate") for line in lines) == 1
  assert "printed 0" in (workdir / "console.log").read_text()


def test_ctrl_c_ends_as_ever_and_leaves_the_terminal_sane(loud):
  _, terminal, workdir = loud
  shown = terminal.all()
  assert terminal.is_sane()
  assert terminal.written.count(b"\x1b[?25h")
  assert "SIGINT: what is in work ends and is saved" in shown
  assert re.search(r"^rl \d+/40 ━", shown, re.MULTILINE)  # the last state
  assert shown.index("rl ") < shown.index("stopped by SIGINT, and saved; resume with: ")
  assert re.search("^sft 3/3  loss ", shown, re.MULTILINE)  # of the stage before, a line
  assert os.path.exists(workdir / "checkpoints")


@pytest.mark.slow
def test_at_the_end_the_last_state_and_the_closing_lines_stay(tmp_path):
  terminal = _terminal(tmp_path, columns=60, lines=20)
  assert terminal.wait() == 0
  shown = terminal.all()
  assert max(map(len, shown.splitlines())) <= 60
  assert re.search(r"rl 4/4 ━+ +100% ", shown)
  assert shown.index("rl 4/4 ━") < shown.index("run folder  ") < shown.index("next  ")
  assert terminal.is_sane()


@pytest.mark.slow
def test_an_error_stands_below_the_last_state(tmp_path):
  (tmp_path / "own.py").write_text(
    _LOUD.replace("return len(completion)", "return 1 / (len(calls) < 40)")
  )
  terminal = _terminal(tmp_path / "run", file=tmp_path / "own.py")
  assert terminal.wait() == 2
  shown = terminal.all()
  assert shown.index("rl 2/40") < shown.index("error: ")
  assert terminal.is_sane()


@pytest.mark.slow
def test_killed_at_once_it_leaves_nothing_to_mend(tmp_path):
  terminal = _terminal(tmp_path, "--config.stages.rl.steps=400")
  terminal.until(lambda seen: re.search("rl [1-9]", seen))
  terminal.process.kill()
  terminal.wait()
  assert terminal.is_sane()


@pytest.mark.slow
def test_a_terminal_of_another_size_is_drawn_anew(tmp_path):
  terminal = _terminal(tmp_path, "--config.stages.rl.steps=400", columns=140)
  terminal.until(lambda seen: re.search("rl [1-9]", seen))
  terminal.resize(60, 20)
  terminal.until(lambda seen: max(map(len, seen.splitlines())) <= 60 and "worst" in seen)
  assert len(re.findall("^rl .*━", terminal.shown(), re.MULTILINE)) == 1
  terminal.type(b"\x03")
  assert terminal.wait() == 130


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--view=plain", "--quiet", "dumb"])
def test_in_lines_nothing_is_drawn(tmp_path, how):
  command = tiny.command(tmp_path, *([how] if how != "dumb" else []))
  term = {"TERM": "dumb"} if how == "dumb" else {}
  terminal = Terminal(command, 120, 24, **tiny.environment(**term))
  assert terminal.wait() == 0
  assert b"\x1b" not in terminal.written
  assert ("rl 4/4  reward" in terminal.all()) == (how != "--quiet")
  assert "run folder " in terminal.all()
  assert not (tmp_path / "console.log").exists()


@pytest.mark.slow
def test_members_have_a_row_each(tmp_path):
  terminal = _terminal(tmp_path, "--population=3")
  rows = r"^member +step +reward.*\n +0 +rl [1-4]/4 +[\d.]+.*\n +1 +rl .*\n +2 +(rl|sft) "
  terminal.until(lambda seen: re.search(rows, seen, re.MULTILINE), 300)
  assert terminal.wait(300) == 0
  assert terminal.is_sane()
  assert "over 3 members" in terminal.all()
