"""Many short runs of experiment files, each a command of its own on one core."""

import concurrent.futures
import dataclasses
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterable

# One core a run: more gain little on arrays this small.
_ONE_CORE = {
  "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
  "OMP_NUM_THREADS": "1",
}
Lines = list[dict]


def run_all(
  config: str,
  names: Iterable[str],
  seeds: int,
  root: str,
  *,
  jobs: int | None = None,
  one_core: bool = True,
) -> dict[tuple[str, int], Lines]:
  """metrics.jsonl of every name and seed, from ROOT/NAME-SEED; what is complete is not run again.

  Args:
    config: an experiment file whose get_config takes a name.
    names, seeds: which, and seeds 0 to `seeds` - 1 of each.
    root: the folder of the runs.
    jobs: runs at one time; as many as there are cores by default.
    one_core: gives a run no more than that.
  """
  runs = [(name, seed) for seed in range(seeds) for name in names]

  def one(run: tuple[str, int]) -> Lines:
    name, seed = run
    folder = os.path.join(root, f"{name}-{seed}")
    train(config, name, folder, f"--config.seed={seed}", one_core=one_core)
    print(f"{name} seed {seed} is complete", flush=True)
    return lines(folder)

  with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
    return dict(zip(runs, pool.map(one, runs), strict=True))


def train(config: str, name: str, folder: str, *flags: str, one_core: bool = True) -> None:
  """Runs what is left of a run; one that is complete ends at once, without a process."""
  done = os.path.join(folder, "complete")
  if os.path.exists(done):
    _check_same(config, name, folder)
    return
  command("experiments.train", f"{config}:{name}", folder, *flags, one_core=one_core)
  with open(done, "w"):
    pass


def _check_same(config: str, name: str, folder: str) -> None:
  """Ends this program where a complete run was made with another config than the file has now."""
  with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
    before = json.load(file)["config"]
  now = dataclasses.asdict(runpy.run_path(config)["get_config"](name)) | {"seed": before["seed"]}
  if json.loads(json.dumps(now)) != before:
    raise SystemExit(f"{folder} is a run of another config than {config}:{name}: remove it")


def warm_start(config: str, folder: str) -> None:
  """Runs NAME "warm_start" of the file, once, and leaves its model in FOLDER/model."""
  train(config, "warm_start", folder)
  if not os.path.exists(os.path.join(folder, "model", "config.json")):
    command("experiments.export", f"{config}:warm_start", folder, f"--out={folder}/model")


def command(module: str, config: str, folder: str, *flags: str, one_core: bool = True) -> None:
  """One command; its error ends this program."""
  whole = [sys.executable, "-m", module, f"--config={config}", f"--workdir={folder}", *flags]
  env = os.environ | (_ONE_CORE if one_core else {})
  done = subprocess.run(whole, env=env, capture_output=True, text=True)
  if done.returncode:
    raise SystemExit(f"{' '.join(whole)}\n{done.stderr[-2000:]}")


def lines(folder: str) -> Lines:
  """metrics.jsonl of a run folder."""
  with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as file:
    return [json.loads(line) for line in file]


def curve(of: Lines, figure: str = "eval/accuracy") -> list[tuple[int, float]]:
  """(step, figure) of the lines that have it."""
  return [(line["step"], line[figure]) for line in of if line.get(figure) is not None]
