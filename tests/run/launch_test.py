"""From the command line to a run: one line for what a person can mend, a traceback for a bug."""

import importlib
import subprocess
import sys

import pytest
from absl.testing import flagsaver

from experiments.configs import tiny_arithmetic
from grpo_jax.run import launch, loop

_FILE = "experiments/configs/tiny_arithmetic.py"


@pytest.mark.parametrize(
  ("arguments", "file"),
  [
    (["train", f"--config={_FILE}"], (_FILE, [])),
    (["train", "-config", _FILE], (_FILE, [])),
    (["train", "--workdir=x", "--config=a.py", "--config=b.py"], ("b.py", [])),
    (["train", "--config=a.py:dapo"], ("a.py", ["dapo"])),
    (["train", "--config.seed=1"], (None, [])),
    (["train"], (None, [])),
  ],
)
def test_the_experiment_file_is_found_as_absl_finds_it(arguments, file):
  assert launch._config_file(arguments) == file


@pytest.mark.parametrize("arguments", [["--config=nope.py"], ["--config", "nope.py"]])
def test_a_missing_experiment_file_is_one_line(arguments, capsys):
  assert _stopped(lambda: launch.parse_flags(["train", *arguments])) == 2
  assert capsys.readouterr().err.startswith("error: --config=nope.py: there is no such file; what")


def test_an_unknown_variant_is_one_line(capsys):
  importlib.import_module("experiments.train")  # declares --config
  arguments = ["train", "--config=experiments/configs/variants.py:dappo"]
  assert _stopped(lambda: launch.parse_flags(arguments)) == 2
  assert "did you mean 'dapo'" in capsys.readouterr().err


def test_a_missing_folder_is_one_line(capsys):
  assert _stopped(lambda: launch.train(tiny_arithmetic.get_config(), None)) == 2
  assert "--workdir is missing" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [ValueError, TypeError, RuntimeError])
def test_what_the_package_raises_is_one_line_and_what_others_raise_is_not(
  kind, capsys, monkeypatch, tmp_path
):
  def raise_own(*_, **__):
    source = compile(f"raise {kind.__name__}('of ours')", "file", "exec")
    exec(source, {"__name__": "grpo_jax.rewards.score", kind.__name__: kind})

  def raise_other(*_, **__):
    raise kind("of theirs")

  monkeypatch.setattr(loop, "run", raise_own)
  assert _stopped(lambda: launch.train(tiny_arithmetic.get_config(), str(tmp_path))) == 2
  assert capsys.readouterr().err == "error: of ours\n"
  monkeypatch.setattr(loop, "run", raise_other)
  with pytest.raises(kind, match="of theirs"):
    launch.train(tiny_arithmetic.get_config(), str(tmp_path))


@pytest.mark.fault(1)
def test_ctrl_c_says_how_to_go_on(capsys, monkeypatch, tmp_path):
  def interrupted(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(loop, "run", interrupted)
  assert _stopped(lambda: launch.train(tiny_arithmetic.get_config(), str(tmp_path))) == 130
  assert "from its newest checkpoint resume with: " in capsys.readouterr().err


@pytest.mark.parametrize(
  "own", [{"tolerate_save_failures": 1}, {"profile": "1:2"}, {"fault": "sigterm:save@1"}]
)
def test_what_is_of_one_run_is_not_of_a_population(own, capsys, tmp_path):
  experiment = tiny_arithmetic.get_config()
  assert _stopped(lambda: launch.train(experiment, str(tmp_path), population=2, **own)) == 2
  assert "are of a run by itself: not of a population" in capsys.readouterr().err


def test_describe_prints_each_field_as_its_flag(capsys):
  launch.describe(tiny_arithmetic.get_config())
  lines = capsys.readouterr().out.splitlines()
  assert "--config.stages.grpo.rollout.group_size=8" in lines
  assert all(line.startswith("--config.") and "=" in line for line in lines)


def _stopped(call):
  with pytest.raises(SystemExit) as stopped:
    call()
  return stopped.value.code


@flagsaver.flagsaver
def test_flags_on_what_is_told_reach_the_run(monkeypatch):
  train, found = importlib.import_module("experiments.train"), {}
  monkeypatch.setattr(launch, "train", lambda *_, **own: found.update(own))
  flags = ["--quiet", "--view=plain", "--tracker=wandb,mlflow", "--tracker_project=mine"]
  launch.parse_flags(["train", f"--config={_FILE}", *flags])
  train.main([])
  assert found == {
    "quiet": True,
    "view": "plain",
    "trackers": ["wandb", "mlflow"],
    "tracker_project": "mine",
  }


def test_a_quiet_run_says_its_warnings_and_its_end(capsys, monkeypatch, tmp_path):
  def told(_, workdir, *, view, tracking, **own):
    view.say(f"{tracking.names} in {tracking.project}")
    view.warning("warning: ill")
    view.closing("the end")

  monkeypatch.setattr(loop, "run", told)
  own = {"trackers": ["wandb"], "tracker_project": "mine"}
  launch.train(tiny_arithmetic.get_config(), str(tmp_path), quiet=True, **own)
  assert capsys.readouterr().out == "warning: ill\nthe end\n"
  launch.train(tiny_arithmetic.get_config(), str(tmp_path), **own)
  assert capsys.readouterr().out == "['wandb'] in mine\nwarning: ill\nthe end\n"


def test_an_unknown_tracker_is_one_line(capsys, tmp_path):
  own = {"trackers": ["wandd"]}
  assert _stopped(lambda: launch.train(tiny_arithmetic.get_config(), str(tmp_path), **own)) == 2
  assert "did you mean 'wandb'" in capsys.readouterr().err


def test_whatever_an_experiment_file_raises_is_a_line(tmp_path, capsys):
  (tmp_path / "own.py").write_text("def get_config(name):\n  return {'a': 1}[name]\n")
  assert _stopped(lambda: launch.parse_flags(["train", f"--config={tmp_path}/own.py:typo"])) == 2
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
