"""Every preset with several seeds on one task: a table, a picture, and the runs themselves.

make variants, or: python -m benchmarks.variants [--seeds=3] [--jobs=2] [--presets=grpo,dapo]

Each run is a command of its own in runs/variants/PRESET-SEED, on one core; runs that are complete
are not run again. Writes runs/variants/variants.png and prints the table.
"""

import concurrent.futures
import json
import os
import subprocess
import sys

from absl import app, flags

from benchmarks import variants_report
from experiments.configs import variants
from grpo_jax import config

_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each preset.", lower_bound=1)
_JOBS = flags.DEFINE_integer("jobs", os.cpu_count(), "Runs at one time.", lower_bound=1)
_PRESETS = flags.DEFINE_list("presets", list(config.PRESETS), "Which presets.")
_CONFIG = os.path.join("experiments", "configs", "variants.py")
_ROOT = os.path.dirname(variants.WARM_START)
# One core a run: more gain little on arrays this small.
_ONE_CORE = {
  "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
  "OMP_NUM_THREADS": "1",
}


def main(_: list[str]) -> None:
  """Runs what is missing, then reports."""
  for name in _PRESETS.value:
    config.preset(name)  # a misspelt one is refused before anything runs
  make_warm_start()
  runs = [(name, seed) for seed in range(_SEEDS.value) for name in _PRESETS.value]
  with concurrent.futures.ThreadPoolExecutor(_JOBS.value) as pool:
    curves = dict(zip(runs, pool.map(lambda run: curve(*run), runs), strict=True))
  rows = variants_report.summary(curves)
  print(variants_report.table(rows))
  variants_report.picture(rows, curves, os.path.join(_ROOT, "variants.png"))


def make_warm_start() -> None:
  """Supervised steps, once; their model as a folder that the presets start from."""
  folder = variants.WARM_START
  if os.path.exists(os.path.join(folder, "model", "config.json")):
    return
  _train("warm_start", folder, 0)
  _command("experiments.export", "warm_start", folder, f"--out={folder}/model")


def curve(name: str, seed: int) -> list[tuple[int, float]]:
  """(step, held-out accuracy) of a run, which is run where it is not complete."""
  folder = os.path.join(_ROOT, f"{name}-{seed}")
  steps = variants.get_config(name).stages["grpo"].steps
  found = _evaluations(folder)
  if not found or found[-1][0] < steps:
    _train(name, folder, seed)
    found = _evaluations(folder)
    print(f"{name} seed {seed}: {found[0][1]:.3f} -> {found[-1][1]:.3f}", flush=True)
  return found


def _evaluations(folder: str) -> list[tuple[int, float]]:
  try:
    with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
      lines = [json.loads(line) for line in file]
  except FileNotFoundError:
    return []
  return [(line["step"], line["eval/accuracy"]) for line in lines if "eval/accuracy" in line]


def _train(name: str, folder: str, seed: int) -> None:
  _command("experiments.train", name, folder, f"--config.seed={seed}")


def _command(module: str, name: str, folder: str, flag: str) -> None:
  command = [sys.executable, "-m", module, f"--config={_CONFIG}:{name}"]
  command += [f"--workdir={folder}", flag]
  done = subprocess.run(command, env=os.environ | _ONE_CORE, capture_output=True, text=True)
  if done.returncode:
    raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")


if __name__ == "__main__":
  app.run(main)
