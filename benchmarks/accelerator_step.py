"""W6: a whole GRPO step of a Qwen2.5 shape on one accelerator, ours beside TRL's.

TRL_PYTHON=... python -m benchmarks.accelerator_step [--workload=w6] -> Markdown

TRL_PYTHON is a Python with TRL and a torch that sees the accelerator. Both get the same random
weights as a Hugging Face folder and take the steps of benchmarks/workloads.py, one after the other.
Ours keeps float32 parameters and moments and multiplies in bfloat16; TRL's are all bfloat16.
"""

import json
import multiprocessing
import os
import statistics
import subprocess
import sys

from absl import app, flags

from benchmarks.workloads import WORKLOADS

_WORKLOAD = flags.DEFINE_string("workload", "w6", "Of benchmarks/workloads.py, one with a shape.")
_GGUF = os.path.join(".cache", "models", "SmolLM2-135M-Instruct.Q4_1.gguf")


def main(_: list[str]) -> None:
  """Measures both and prints a table."""
  work, folder = WORKLOADS[_WORKLOAD.value], os.path.join("runs", "bench", _WORKLOAD.value)
  if not os.path.exists(os.path.join(folder, "config.json")):
    # In a process of its own, which gives the accelerator's memory back.
    making = multiprocessing.get_context("spawn").Process(
      target=make_model, args=(work.shape, folder)
    )
    making.start()
    making.join()
  script = os.path.join(os.path.dirname(__file__), "trl_step.py")
  commands = {
    "grpo_jax": [sys.executable, "-m", "benchmarks.our_step", _WORKLOAD.value, folder],
    "trl_bfloat16": [_trl_python(), script, _WORKLOAD.value, folder, "bfloat16"],
  }
  print(f"{work}\n\n| | rollout | update | step | against ours | peak memory | first step |")
  print(f"|{' --- |' * 7}")
  ours = 0.0
  for name, command in commands.items():
    run = json.loads(_once(command, work.limit).strip().splitlines()[-1])
    rollout, update = statistics.median(run["rollout"]), statistics.median(run["update"])
    ours = ours or rollout + update
    print(
      f"| {name} | {rollout:.2f} s | {update:.2f} s | {rollout + update:.2f} s |"
      f" {(rollout + update) / ours:.2f}x | {run['peak_gb']:.1f} GB | {sum(run['first']):.0f} s |",
      flush=True,
    )


def _trl_python() -> str:
  if "TRL_PYTHON" not in os.environ:
    raise SystemExit("TRL_PYTHON must name a Python that has TRL, and a torch for this accelerator")
  return os.environ["TRL_PYTHON"]


def make_model(shape: str, folder: str) -> None:
  """Random weights of a published shape, with SmolLM2's tokenizer."""
  import jax

  from grpo_jax import weights
  from grpo_jax.model import Network
  from grpo_jax.plan.presets import model_architecture

  architecture = model_architecture(shape)
  params = jax.jit(Network(architecture).init)(jax.random.key(0))
  weights.save(folder, architecture, params, weights.load(_GGUF).tokenizer)


def _once(command: list[str], limit: int) -> str:
  done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
  if done.returncode:
    raise SystemExit(f"{' '.join(command)}\n{done.stderr[-3000:]}")
  return done.stdout


if __name__ == "__main__":
  app.run(main)
