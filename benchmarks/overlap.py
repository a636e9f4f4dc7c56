"""Answers sampled while earlier ones are learned from, against waiting for each update.

python -m benchmarks.overlap [--seeds=2] [--steps=250] [--rewards="at once"]

The tiny task from one warm start a seed, with rewards that are there at once and with rewards that
take time elsewhere (`slow_reward.py`: 256 answers by two processes, half a second). Three ways:
every step waits; answers are one step stale, on the same device; and on a second device. Median
seconds of a step; of each seed the sampled reward of the last 25 steps, and the held-out accuracy
at the end. The first row of all has that of the warm starts.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from typing import NamedTuple

from absl import app, flags

_SEEDS = flags.DEFINE_integer("seeds", 2, "Warm starts, each with its own prompts.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 250, "Of GRPO.", lower_bound=20)
_STALE = ["--config.stages.grpo.staleness=1"]
_WAYS = {
  "waits": [],
  "one step stale": _STALE,
  "one step stale, a device of its own": [*_STALE, "--config.parallel.sampling=1"],
}
_REWARDS = {
  "at once": "experiments/configs/tiny_arithmetic.py",
  "elsewhere": "benchmarks/slow_reward.py",
}
_KINDS = flags.DEFINE_multi_enum("rewards", list(_REWARDS), list(_REWARDS), "Which; repeatable.")


def main(_: list[str]) -> None:
  """Prints a Markdown table."""
  print("| rewards | way | seconds a step | times as fast | last reward | accuracy |")
  print("| --- | --- | --- | --- | --- | --- |", flush=True)
  told = False
  for rewards in _KINDS.value:
    first = None
    for way, flags_of_way in _WAYS.items():
      found = [run(_REWARDS[rewards], seed, flags_of_way) for seed in range(_SEEDS.value)]
      if not told:
        print(f"| | warm start | | | | {_each(one.before for one in found)} |")
        told = True
      seconds = statistics.median(one.seconds for one in found)
      first = first or seconds
      row = f"{rewards} | {way} | {seconds:.3f} | {first / seconds:.2f}"
      ends = f"{_each(one.reward for one in found)} | {_each(one.after for one in found)}"
      print(f"| {row} | {ends} |", flush=True)


def _each(values: Iterable[float]) -> str:
  return ", ".join(f"{value:.2f}" for value in values)


class Run(NamedTuple):
  """Median seconds of a step, mean reward of the last ones, accuracy before and after GRPO."""

  seconds: float
  reward: float
  before: float
  after: float


def run(config: str, seed: int, more: list[str]) -> Run:
  """A whole run, as a command."""
  with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "experiments.train", f"--workdir={folder}/run"]
    command += [
      f"--config={config}",
      f"--config.seed={seed}",
      f"--config.stages.grpo.steps={_STEPS.value}",
    ]
    command += ["--config.stages.grpo.loss.sampler_correction=truncate", *more]
    devices = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | devices)
    with open(f"{folder}/run/metrics.jsonl", encoding="utf-8") as file:
      lines = list(map(json.loads, file))
  steps = [line for line in lines if line["stage"] == "grpo" and "train/lr" in line]
  judged = [line for line in lines if "eval/accuracy" in line]
  return Run(
    statistics.median(line["time/step_s"] for line in steps[10:]),
    statistics.mean(line["reward/mean"] for line in steps[-25:]),
    [line["eval/accuracy"] for line in judged if line["stage"] == "sft"][-1],
    judged[-1]["eval/accuracy"],
  )


if __name__ == "__main__":
  app.run(main)
