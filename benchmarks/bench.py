"""A GRPO step of ours beside TRL's and Tunix's, then W3 and W5: writes RESULTS.md and a picture.

make bench, or, with the Pythons of the peers:
TRL_PYTHON=... TUNIX_PYTHON=... python -m benchmarks.bench [--workloads=w1] [--keep]

Every round runs each contender once, in a process of its own: a step to compile, then those that
count. The floor is measured in the same rounds. Every run is kept in runs/bench/runs.jsonl, and a
second call with --keep goes on from there. Who was given up in a workload is not tried there again.
"""

import json
import os
import signal
import subprocess
import sys
import time

from absl import app, flags

from benchmarks.bench_report import draw, table, write_section
from benchmarks.workloads import WORKLOADS

_PEERS = ("trl_float32", "trl_bfloat16", "tunix")
_WORKLOADS = flags.DEFINE_list(
  "workloads",
  [name for name, work in WORKLOADS.items() if not work.shape],
  "Which of benchmarks/workloads.py.",
)
_AGAINST = flags.DEFINE_multi_enum("against", _PEERS, _PEERS, "The peers to run beside ours.")
_KEEP = flags.DEFINE_bool("keep", False, "Goes on from the runs of the last call.")
_REST = flags.DEFINE_bool("rest", True, "Also W3 (lengths.py) and W5 (one_program.py).")
_GGUF = os.path.join(".cache", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
_FOLDER = os.path.join("runs", "bench")
_MODEL = os.path.join(_FOLDER, "smollm2")
_RUNS = os.path.join(_FOLDER, "runs.jsonl")
_HERE = os.path.dirname(__file__)


def main(_: list[str]) -> None:
  """Measures, prints Markdown, and writes it down."""
  make_model()
  if not _KEEP.value and os.path.exists(_RUNS):
    os.remove(_RUNS)
  runs = _read()
  for workload in _WORKLOADS.value:
    for turn in range(WORKLOADS[workload].rounds):
      for name in ("floor", "grpo_jax", *_AGAINST.value):
        if not any(_stands_for(run, workload, turn, name) for run in runs):
          runs.append(_measure(workload, turn, name))
  parts = [table(name, [run for run in runs if run["workload"] == name]) for name in WORKLOADS]
  if _REST.value:
    parts += ["### W3: answers of skewed lengths", _printed("benchmarks.lengths")]
    parts += ["### W5: the tiny task, reward in JAX", _printed("benchmarks.one_program")]
  write_section(os.path.join(_HERE, "RESULTS.md"), "\n\n".join(filter(None, parts)))
  draw(runs, os.path.join(_HERE, "bench.png"))


def _read() -> list[dict]:
  if not os.path.exists(_RUNS):
    return []
  with open(_RUNS) as file:
    return [json.loads(line) for line in file]


def _stands_for(run: dict, workload: str, turn: int, name: str) -> bool:
  """Whether nothing more is to be learned than this run tells."""
  same = (run["workload"], run["name"]) == (workload, name)
  return same and (run["turn"] == turn or "given_up" in run)


def _measure(workload: str, turn: int, name: str) -> dict:
  """One run, kept as soon as it ends."""
  command, limit = _command(name, workload), WORKLOADS[workload].limit
  run = {"workload": workload, "turn": turn, "name": name} | _run(command, limit)
  with open(_RUNS, "a") as file:
    file.write(json.dumps(run) + "\n")
  print(time.strftime("%H:%M:%S"), run, flush=True)
  return run


def _command(name: str, workload: str) -> list[str]:
  work = [workload, _MODEL]
  if name == "floor":
    return [sys.executable, "-m", "benchmarks.floor"]
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


def _run(command: list[str], limit: int) -> dict:
  try:
    done = subprocess.run(
      command, capture_output=True, text=True, timeout=limit, preexec_fn=_first_to_die
    )
  except subprocess.TimeoutExpired:
    return {"given_up": f"given up after {limit} s"}
  if done.returncode == -signal.SIGKILL or "RESOURCE_EXHAUSTED" in done.stderr:
    return {"given_up": "out of memory"}
  if done.returncode:
    raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
  return json.loads(done.stdout.strip().splitlines()[-1])


def _first_to_die() -> None:
  """Where memory runs out, Linux kills this process and no other."""
  if os.path.exists("/proc/self/oom_score_adj"):
    with open("/proc/self/oom_score_adj", "w") as file:
      file.write("1000")


def _printed(module: str) -> str:
  """The Markdown that a benchmark prints; kept like the runs."""
  path = os.path.join(_FOLDER, f"{module}.md")
  if _KEEP.value and os.path.exists(path):
    with open(path) as file:
      return file.read()
  done = subprocess.run([sys.executable, "-m", module], capture_output=True, text=True)
  if done.returncode:
    raise SystemExit(f"{module}\n{done.stderr[-2000:]}")
  print(done.stdout, flush=True)
  with open(path, "w") as file:
    file.write(done.stdout.strip())
  return done.stdout.strip()


if __name__ == "__main__":
  app.run(main)
