"""Members of a population against as many runs by themselves: seconds and memory, whole commands.

python -m benchmarks.population [--sizes=1,2,4,8,16,32] [--repeats=3] [--lora] [--caches=empty]

Start-up and compiling are counted on both sides, twice: with a compilation cache that is empty as
each command starts, so that K runs by themselves compile K times, and with one that knows all
programs; --caches=empty leaves the second out. K runs are K times the median of `repeats`. With
--lora: adapters over SmolLM2, two steps of the main job.
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
_CACHES = flags.DEFINE_list("caches", ["empty", "full"], "empty, or empty,full.")
_LORA = flags.DEFINE_bool("lora", False, "Adapters over SmolLM2 instead of the tiny task.")
_TINY = ["--config=experiments/configs/tiny_arithmetic.py"]
_SMOLLM2 = [
  "--config=experiments/configs/smollm2_addition.py",
  "--config.stages.grpo.lora.rank=8",
  "--config.stages.grpo.optimizer.lr=2e-4",
  "--config.stages.grpo.steps=2",
  "--config.stages.grpo.optimizer.warmup_steps=1",
  "--config.evaluation.problems=40",
  "--config.evaluation.batch_size=40",
]
_HEADER = ("members", "cache", "seconds", "as many runs", "times as fast", "GB", "of one run")

flags.register_validator(
  _CACHES, lambda caches: caches in (["empty"], ["empty", "full"]), "empty, or empty,full"
)


def main(_: list[str]) -> None:
  """Prints a Markdown table."""
  command = _SMOLLM2 if _LORA.value else _TINY
  repeats = [each_cache(command) for _ in range(_REPEATS.value)]
  alone = [
    [statistics.median(n) for n in zip(*each, strict=True)] for each in zip(*repeats, strict=True)
  ]
  for cache, (seconds, memory) in zip(_CACHES.value, alone, strict=True):
    print(f"by itself, {cache} cache: {seconds:.1f} s, {memory:.2f} GB (of {len(repeats)})")
  print()
  print(f"| {' | '.join(_HEADER)} |")
  print(f"|{' --- |' * len(_HEADER)}", flush=True)
  for size in map(int, _SIZES.value):
    if size == 1:
      continue
    for cache, (one, memory), (took, most) in zip(
      _CACHES.value, alone, each_cache([*command, f"--population={size}"]), strict=True
    ):
      row = f"{took:.0f} | {size * one:.0f} | {size * one / took:.2f} | {most:.2f}"
      print(f"| {size} | {cache} | {row} | {most / memory:.2f} |", flush=True)


def each_cache(command: list[str]) -> list[tuple[float, float]]:
  """Seconds and peak GB of a command with an empty compilation cache, then with what it left."""
  with tempfile.TemporaryDirectory() as cache:
    return [run(command, cache) for _ in _CACHES.value]


def run(command: list[str], cache: str) -> tuple[float, float]:
  """Seconds and peak GB of a training command in a new folder."""
  folder = tempfile.mkdtemp()
  whole = [sys.executable, "-m", "experiments.train", *command, f"--workdir={folder}/run"]
  began = time.monotonic()
  process = subprocess.Popen(
    whole, stdout=subprocess.DEVNULL, env=os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
  )
  _, status, usage = os.wait4(process.pid, 0)
  seconds = time.monotonic() - began
  shutil.rmtree(folder)
  if status:
    raise SystemExit(f"{' '.join(whole)}: wait status {status}")
  return seconds, usage.ru_maxrss / 1e6


if __name__ == "__main__":
  app.run(main)
