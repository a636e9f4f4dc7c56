"""The command line: what is found on it, and one line where it cannot be read."""

import importlib
import subprocess
import sys

import pytest

from grpo_jax.run import arguments
from tests.run.launch_test import _FILE, _stopped


@pytest.mark.parametrize(
  ("words", "file"),
  [
    (["train", f"--config={_FILE}"], (_FILE, [])),
    (["train", "-config", _FILE], (_FILE, [])),
    (["train", "--workdir=x", "--config=a.py", "--config=b.py"], ("b.py", [])),
    (["train", "--config=a.py:dapo"], ("a.py", ["dapo"])),
    (["train", "--config.seed=1"], (None, [])),
    (["train"], (None, [])),
  ],
)
def test_the_experiment_file_is_found_as_absl_finds_it(words, file):
  assert arguments.config_file(words) == file


@pytest.mark.parametrize("words", [["--config=nope.py"], ["--config", "nope.py"]])
def test_a_missing_experiment_file_is_one_line(words, capsys):
  assert _stopped(lambda: arguments.parse_flags(["train", *words])) == 2
  assert capsys.readouterr().err.startswith("error: --config=nope.py: there is no such file; what")


def test_an_unknown_variant_is_one_line(capsys):
  importlib.import_module("experiments.train")  # declares --config
  words = ["train", "--config=experiments/configs/variants.py:dappo"]
  assert _stopped(lambda: arguments.parse_flags(words)) == 2
  assert "did you mean 'dapo'" in capsys.readouterr().err


def test_whatever_an_experiment_file_raises_is_a_line(tmp_path, capsys):
  (tmp_path / "own.py").write_text("def get_config(name):\n  return {'a': 1}[name]\n")
  assert _stopped(lambda: arguments.parse_flags(["train", f"--config={tmp_path}/own.py:typo"])) == 2
  assert capsys.readouterr().err == f"error: --config={tmp_path}/own.py:typo: KeyError: 'typo'\n"


@pytest.mark.parametrize(
  ("name", "word", "hint"),
  [
    ("evaluate", "config.seed=3", ": did you mean --config.seed=3?"),
    ("evaluate", "problems=1", ": did you mean --problems=1?"),
    ("evaluate", ".", ": did you mean --workdir=.?"),
    ("generate", "3+4=", ": did you mean --prompt='3+4='?"),
    ("evaluate", "hello", ""),
  ],
)
def test_a_word_of_a_command_that_takes_none_is_refused(name, word, hint):
  command = [sys.executable, "-m", f"experiments.{name}", word]
  done = subprocess.run(command, capture_output=True, text=True)
  assert (done.returncode, done.stderr) == (2, f"error: {word!r} is no flag{hint}\n")


def test_the_missing_config_is_a_line_of_its_own():
  command = [sys.executable, "-m", "experiments.train", "--workdir=x"]
  done = subprocess.run(command, capture_output=True, text=True)
  assert done.returncode == 2
  assert done.stderr == (
    "error: --config is missing: name an experiment, as in --config=tiny_arithmetic\n"
  )
