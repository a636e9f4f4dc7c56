"""Command lines: overrides as absl takes them, and the command of a run."""

import shlex

from grpo_jax.sweep.command import as_text, overrides, train_command
from tests.sweep.helpers import FILE, options


def test_overrides_of_every_form_are_passed_on():
  given = ["sweep", f"--config={FILE}", "--config.a=1", "-config.b", "2", "--config.c", "-3"]
  given += ["--noconfig.d", "--config.e", "--trials=3"]
  assert overrides(given) == (
    *("--config.a=1", "--config.b=2", "--config.c=-3"),
    *("--noconfig.d", "--config.e"),
  )


def test_a_command_can_be_pasted():
  asked = options("w", overrides=("--config.evaluation.scores=('a', 'b')",))
  command = train_command(asked, {"seed": 3, "x.y": 1e-05}, 4, "a folder")
  assert shlex.split(as_text([command])) == command
  assert command[-3:] == ["--config.x.y=1e-05", "--config.seed=4", "--workdir=a folder"]
  assert "--config.seed=3" not in command
  assert as_text([["a", "b c"], ["d"]]) == "a 'b c' && d"


def test_runs_are_tracked_as_the_sweep_says():
  tracked = options("w", tracker=["wandb", "trackio"], tracker_project="mine")
  command = train_command(tracked, {}, 0, "a")
  assert command[-3:] == [
    *("--tracker=wandb,trackio", "--tracker_project=mine"),
    "--tracker_group=w",
  ]
  assert not [word for word in train_command(options("w"), {}, 0, "a") if "tracker" in word]
