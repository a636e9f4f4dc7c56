"""Sweeps of the fake trainer, in this process or another."""

import os
import pathlib
import subprocess
import sys

import optuna

from experiments.configs import tiny_arithmetic
from grpo_jax.sweep import launch
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.storage import open_storage

FILE = "experiments/configs/tiny_arithmetic.py"
FAKE = str(pathlib.Path(__file__).with_name("fake.py"))
LR = "stages.grpo.optimizer.lr"
MISHAP = "stages.grpo.rollout.group_size"


def options(workdir, **fields) -> Options:
  """Of a sweep of the fake trainer over lr."""
  experiment = tiny_arithmetic.get_config()
  experiment.stages = {"grpo": experiment.stages["grpo"]}
  default = {"file": FILE, "experiment": experiment, "program": ("-S", FAKE), "trials": 3}
  default |= {"space": f"{LR}=log(1e-4, 1e-3)"}
  return Options(workdir=str(workdir), **default | fields)


def sweep(workdir, **fields) -> tuple[list, list[str]]:
  """The trials and the lines of a sweep that comes to its end."""
  lines: list[str] = []
  asked = options(workdir, **fields)
  assert launch.run(asked, lines.append) == 0
  return trials(asked), lines


def trials(asked: Options) -> list:
  return study(asked).trials


def study(asked: Options) -> optuna.Study:
  return optuna.load_study(storage=open_storage(asked.url), study_name=asked.study)


def worker(workdir, **fields) -> subprocess.Popen:
  """A sweep in a process of its own; its lines are in its stdout."""
  given = ", ".join(f"{name}={value!r}" for name, value in fields.items())
  code = (
    # What is started in the background of a shell ignores SIGINT, and so would its children.
    "import signal, sys, functools; signal.signal(signal.SIGINT, signal.SIG_DFL);"
    "from tests.sweep import helpers; from grpo_jax.sweep import launch;"
    f"asked = helpers.options({str(workdir)!r}, {given});"
    "sys.exit(launch.run(asked, functools.partial(print, flush=True)))"
  )
  root = pathlib.Path(__file__).parents[2]
  return subprocess.Popen(
    [sys.executable, "-c", code],
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    cwd=root,
    env=os.environ | {"PYTHONPATH": str(root)},
  )
