"""From the command line to a run: one line for what a person can mend, a traceback for a bug."""

import importlib

import pytest
from absl.testing import flagsaver

from experiments.configs import tiny_arithmetic
from grpo_jax.run import arguments, launch, loop

_FILE = "experiments/configs/tiny_arithmetic.py"


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
  flags.append("--tracker_group=ours")
  arguments.parse_flags(["train", f"--config={_FILE}", *flags])
  train.main([])
  assert found == {
    "quiet": True,
    "view": "plain",
    "trackers": ["wandb", "mlflow"],
    "tracker_project": "mine",
    "tracker_group": "ours",
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
  own, experiment = {"trackers": ["wandd"]}, tiny_arithmetic.get_config()
  assert _stopped(lambda: launch.train(experiment, str(tmp_path), **own)) == 2
  assert "did you mean 'wandb'" in capsys.readouterr().err
  asked = {"workdir": str(tmp_path / "sweep"), "tracker": ["wandd"]}
  command = ["sweep", "--config=experiments/configs/tiny_arithmetic.py"]
  assert _stopped(lambda: launch.sweep(experiment, command, asked)) == 2
  assert "did you mean 'wandb'" in capsys.readouterr().err
  assert not (tmp_path / "sweep").exists()
