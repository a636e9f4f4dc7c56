"""Answers sampled while earlier ones are learned from, against waiting for each update.

python -m benchmarks.overlap [--seeds=2] [--steps=250]

The tiny task from one warm start a seed, with rewards that are there at once and with rewards that
take time elsewhere (`slow_reward.py`: 256 answers by two processes, half a second). Three ways:
every step waits; answers are one step stale, on the same device; and on a second device. Median
seconds of a step, and held-out accuracy at the end.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

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


def main(_: list[str]) -> None:
  """Prints a Markdown table."""
  print("| rewards | way | seconds a step | times as fast | accuracy |")
  print("| --- | --- | --- | --- | --- |", flush=True)
  for rewards, config in _REWARDS.items():
    first = None
    for way, flags_of_way in _WAYS.items():
      found = [run(config, seed, flags_of_way) for seed in range(_SEEDS.value)]
      seconds = statistics.median(took for took, _ in found)
      first = first or seconds
      scores = ", ".join(f"{accuracy:.2f}" for _, accuracy in found)
      row = f"{rewards} | {way} | {seconds:.3f} | {first / seconds:.2f} | {scores}"
      print(f"| {row} |", flush=True)


def run(config: str, seed: int, more: list[str]) -> tuple[float, float]:
  """Median seconds of a step, and the accuracy at the end."""
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
      lines = [json.loads(line) for line in file]
  steps = [line["time/step_s"] for line in lines if line["stage"] == "grpo" and "train/lr" in line]
  accuracy = [line["eval/accuracy"] for line in lines if "eval/accuracy" in line]
  return statistics.median(steps[10:]), accuracy[-1]


if __name__ == "__main__":
  app.run(main)
