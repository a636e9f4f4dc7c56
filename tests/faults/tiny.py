"""An experiment of seconds, started as a person starts one: what is done to it, and how it ends."""

import json
import os
import subprocess
import sys

import jax

from grpo_jax import config

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_LR = {"lr": 1e-2, "min_lr": 1e-2}


def get_config() -> config.Experiment:
  """Three updates by solutions, then four by a reward that is drawn, with a KL to keep."""
  shape = {"hidden_size": 32, "layers": 1, "heads": 2, "kv_heads": 1, "head_size": 16}
  architecture = config.Architecture(context_length=16, ffn_size=32, **shape)
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=3)
  return config.Experiment(
    model=config.Model(tokenizer="characters", architecture=architecture),
    task=config.Addition(low=0, high=9, question="{a}+{b}="),
    evaluation=config.Evaluation(problems=8, max_tokens=3, every=2),
    checkpoint=config.Checkpoint(every=1),
    stages={
      "sft": config.SFT(steps=3, batch_size=8, max_tokens=3, optimizer=config.Optimizer(**_LR)),
      "rl": config.GRPO(
        steps=4,
        rollout=sizes,
        rewards={"random": 1.0},
        optimizer=config.Optimizer(**_LR),
        loss=config.LossConfig(kl_coefficient=0.1),
      ),
    },
  )


def command(workdir, *flags, file="tests/faults/tiny.py") -> list[str]:
  """What is typed to run an experiment file in a folder."""
  own = ["-m", "experiments.train", f"--config={os.path.join(ROOT, file)}"]
  return [sys.executable, *own, f"--workdir={workdir}", *flags]


def environment(**changed) -> dict[str, str]:
  """This process's, with the package in reach of any folder; None takes a variable out."""
  found = os.environ | {"PYTHONPATH": ROOT} | changed
  return {name: value for name, value in found.items() if value is not None}


def run(workdir, *flags, before="", cwd=ROOT, **changed) -> subprocess.CompletedProcess:
  """Runs it to its end.

  Args:
    workdir, flags: of the command.
    before: Python for its process, before anything else.
    cwd: where it is started.
    changed: variables of its environment.
  """
  typed = command(workdir, *flags)
  if before:
    start = f"import runpy\n{before}\n"
    start += "runpy.run_module('experiments.train', run_name='__main__', alter_sys=True)"
    typed[1:3] = ["-c", start]
  env = environment(**changed)
  return subprocess.run(typed, cwd=cwd, capture_output=True, text=True, env=env, timeout=300)


def outcome(workdir) -> tuple[list, list]:
  """What a run has come to, without clock and machine: its lines, and its parameters' bytes."""
  from grpo_jax.run.checkpoint import Checkpointer

  checkpoints = Checkpointer(str(workdir), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest() or 0)
  checkpoints.close()
  with open(os.path.join(workdir, "metrics.jsonl"), encoding="utf-8") as file:
    lines = [json.loads(line) for line in file]
  figures = [
    {k: v for k, v in line.items() if not k.startswith(("time/", "memory/"))} for line in lines
  ]
  return figures, [leaf.tobytes() for leaf in jax.tree.leaves(saved["params"])]
