"""A GRPO step of ours beside TRL's and Tunix's, interleaved: medians, ratios, shares of the floor.

make bench, or, with the Pythons of the peers:
TRL_PYTHON=... TUNIX_PYTHON=... python -m benchmarks.bench [--workloads=w1] [--rounds=3]

Every round runs each contender once, in a process of its own: a step to compile, then --steps that
count. The floor is measured in the same rounds.
"""

import json
import os
import statistics
import subprocess
import sys

from absl import app, flags

from benchmarks.floor import floor_seconds
from benchmarks.workloads import WORKLOADS

_PEERS = ("trl_float32", "trl_bfloat16", "tunix")
_WORKLOADS = flags.DEFINE_list("workloads", ["w1"], "Which of benchmarks/workloads.py.")
_AGAINST = flags.DEFINE_multi_enum("against", _PEERS, _PEERS, "The peers to run beside ours.")
_ROUNDS = flags.DEFINE_integer("rounds", 3, "Runs of each contender.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 2, "Timed steps of a run.", lower_bound=1)
_GGUF = os.path.join(".cache", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
_MODEL = os.path.join("runs", "bench", "smollm2")
_HERE = os.path.dirname(__file__)


def main(_: list[str]) -> None:
  """Measures, and prints Markdown."""
  make_model()
  for workload in _WORKLOADS.value:
    names = ["grpo_jax", *_AGAINST.value]
    runs: dict[str, list[dict]] = {name: [] for name in names}
    rates = []
    for _round in range(_ROUNDS.value):
      rates.append(_run([sys.executable, "-m", "benchmarks.floor"]))
      for name in names:
        runs[name].append(_run(_command(name, workload)))
    print(table(workload, runs, rates), flush=True)


def _command(name: str, workload: str) -> list[str]:
  work = [workload, _MODEL, str(_STEPS.value)]
  if name == "grpo_jax":
    return [sys.executable, "-m", "benchmarks.our_step", *work]
  framework, _, dtype = name.partition("_")
  python = os.environ.get(f"{framework.upper()}_PYTHON")
  if not python:
    raise SystemExit(f"{framework.upper()}_PYTHON names a Python that has {framework}: make bench")
  script = os.path.join(_HERE, f"{framework}_step.py")
  return [python, script, *work, *([dtype] if dtype else [])]


def make_model() -> None:
  """SmolLM2 as a Hugging Face folder: the same float32 weights for every contender."""
  if os.path.exists(os.path.join(_MODEL, "config.json")):
    return
  from grpo_jax import weights

  loaded = weights.load(_GGUF)
  weights.save(_MODEL, loaded.architecture, loaded.params, loaded.tokenizer)


def table(workload: str, runs: dict[str, list[dict]], rates: list[dict]) -> str:
  """Medians over all timed steps; the floor with the best rates that were seen."""
  best = {name: max(rate[name] for rate in rates) for name in rates[0]}
  floor = floor_seconds(WORKLOADS[workload], best)
  ours = _median(runs["grpo_jax"], "rollout") + _median(runs["grpo_jax"], "update")
  lines = [
    f"{workload}: {WORKLOADS[workload]}",
    f"machine: {best['gflops']:.0f} GFLOP/s ({best['gflops_decode']:.0f} with 16 rows),"
    f" {best['gb_per_s']:.1f} GB/s",
    "",
    "| | rollout | update | step | against ours | share of the floor | peak memory | compile |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
    f"| floor | {floor[0]:.1f} s | {floor[1]:.1f} s | {sum(floor):.1f} s | | | | |",
  ]
  for name, own in runs.items():
    rollout, update = _median(own, "rollout"), _median(own, "update")
    step = rollout + update
    first = statistics.median(sum(run["first"]) for run in own) - step
    peak = statistics.median(run["peak_gb"] for run in own)
    lines.append(
      f"| {name} | {rollout:.1f} s | {update:.1f} s | {step:.1f} s | {step / ours:.2f}x |"
      f" {sum(floor) / step:.0%} | {peak:.1f} GB | {max(first, 0):.0f} s |"
    )
  return "\n".join(lines)


def _median(runs: list[dict], phase: str) -> float:
  return statistics.median(seconds for run in runs for seconds in run[phase])


def _run(command: list[str]) -> dict:
  done = subprocess.run(command, capture_output=True, text=True)
  if done.returncode:
    raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
  return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
  app.run(main)
