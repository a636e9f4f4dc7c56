"""An experiment of seconds, started as a person starts one: what is done to it, and how it ends."""

import os
import subprocess
import sys

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


def command(workdir, *flags) -> list[str]:
  """What is typed to run it in a folder."""
  own = ["-m", "experiments.train", f"--config={os.path.join(ROOT, 'tests/faults/tiny.py')}"]
  return [sys.executable, *own, f"--workdir={workdir}", *flags]


def run(workdir, *flags, before="", **environment) -> subprocess.CompletedProcess:
  """Runs it to its end; `before` is Python to be run in its process before anything else."""
  typed = command(workdir, *flags)
  if before:
    start = f"import runpy, sys; sys.path.insert(0, {ROOT!r})\n{before}\n"
    start += "runpy.run_module('experiments.train', run_name='__main__', alter_sys=True)"
    typed[1:3] = ["-c", start]
  env = os.environ | {"PYTHONPATH": ROOT} | environment
  env = {name: value for name, value in env.items() if value is not None}
  return subprocess.run(typed, cwd=ROOT, capture_output=True, text=True, env=env, timeout=300)
