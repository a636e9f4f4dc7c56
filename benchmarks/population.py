"""Members of a population against as many runs by themselves: seconds and memory, whole commands.

python -m benchmarks.population [--sizes=1,2,4,8,16,32] [--repeats=3] [--lora]

Start-up and compiling are counted on both sides, with a compilation cache that knows the programs:
each command is run once before. K runs by themselves are K times the median of `repeats`. With
--lora: adapters over SmolLM2, four steps of the main job.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

_SIZES = flags.DEFINE_list("sizes", ["1", "2", "4", "8", "16", "32"], "Members.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Runs by themselves.", lower_bound=1)
_LORA = flags.DEFINE_bool("lora", False, "Adapters over SmolLM2 instead of the tiny task.")
_TINY = ["--config=experiments/configs/tiny_arithmetic.py"]
_SMOLLM2 = [
  "--config=experiments/configs/smollm2_addition.py",
  "--config.stages.grpo.lora.rank=8",
  "--config.stages.grpo.optimizer.lr=2e-4",
  "--config.stages.grpo.steps=4",
  "--config.evaluation.problems=40",
  "--config.evaluation.batch_size=40",
]


def main(_: list[str]) -> None:
  """Prints a Markdown table."""
  command = _SMOLLM2 if _LORA.value else _TINY
  run(command)
  alone = [run(command) for _ in range(_REPEATS.value)]
  seconds = statistics.median(s for s, _ in alone)
  memory = statistics.median(m for _, m in alone)
  print(f"by itself: {seconds:.1f} s (of {len(alone)}), {memory:.2f} GB\n")
  print("| members | seconds | as many runs | times as fast | GB | of one run |")
  print("| --- | --- | --- | --- | --- | --- |", flush=True)
  for size in map(int, _SIZES.value):
    if size == 1:
      continue
    own = [*command, f"--population={size}"]
    run(own)
    took, held = run(own)
    ratio = size * seconds / took
    row = f"{took:.0f} | {size * seconds:.0f} | {ratio:.2f} | {held:.2f} | {held / memory:.2f}"
    print(f"| {size} | {row} |", flush=True)


def run(command: list[str]) -> tuple[float, float]:
  """Seconds and peak GB of a training command in a new folder."""
  folder = tempfile.mkdtemp()
  whole = [sys.executable, "-m", "experiments.train", *command, f"--workdir={folder}/run"]
  began = time.monotonic()
  process = subprocess.Popen(whole, stdout=subprocess.DEVNULL)
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.monotonic() - began
  shutil.rmtree(folder)
  if status:
    raise SystemExit(f"{' '.join(whole)}: wait status {status}")
  return seconds, usage.ru_maxrss / 1e6


if __name__ == "__main__":
  app.run(main)
