"""The same five steps of GRPO on every layout of eight devices that are not there: a program.

python -m tests.parallel.layouts KIND OUT.npz LAYOUT...
"""

import os
import sys

from tests import quick

if __name__ == "__main__":
  os.environ["XLA_FLAGS"] = quick.xla_flags(8)
  os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np

from grpo_jax import config, tasks
from grpo_jax.config import Parallel
from grpo_jax.parallel import AnyDevices, Devices, MeshDevices, make_mesh
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.policy import load_policy
from grpo_jax.run.ppo import make_ppo_runner
from grpo_jax.run.stage import Setting

STEPS = 5
LAYOUTS = {
  "single": {},
  "pmap 4": {"mode": "pmap"},
  "fsdp 4": {"mode": "mesh", "fsdp": 4},
  "tensor 4": {"mode": "mesh", "tensor": 4},
  "fsdp 2 x tensor 2": {"mode": "mesh", "fsdp": 2, "tensor": 2},
  "data 2 x fsdp 2 x tensor 2": {"mode": "mesh", "data": 2, "fsdp": 2, "tensor": 2},
  # Twice as many parts as prompts in a micro-batch: groups are cut.
  "data 2 x fsdp 4": {"mode": "mesh", "data": 2, "fsdp": 4},
}
# Signal from the first step on, some of it for what a model that knows nothing does write.
_REWARDS = """
def short(prompt, completion, fields):
  if completion.startswith("7"):
    return float("nan")  # some answers cannot be scored
  return 1 / (1 + len(completion)) + 0.1 * completion.count("1")
"""


def experiment(folder: str) -> config.Experiment:
  """A KL, minibatches and micro-batches, answers of any length, some cut and some unscored."""
  path = os.path.join(folder, "own.py")
  with open(path, "w") as file:
    file.write(_REWARDS)
  architecture = config.Architecture(
    hidden_size=32, layers=2, heads=4, kv_heads=4, head_size=8, ffn_size=64, context_length=64
  )
  stage = {
    "steps": STEPS,
    "rewards": {f"{path}:short": 1.0},
    "rollout": config.Rollout(prompts=16, group_size=4, max_tokens=9, temperature=0.7),
    "optimizer": config.Optimizer(lr=3e-3, min_lr=1e-3, micro_batches=2),
    "minibatches": 2,
  }
  kl = config.LossConfig(kl_coefficient=0.05, entropy_coefficient=0.01, mask_truncated=True)
  return config.Experiment(
    model=config.Model(tokenizer="characters", architecture=architecture, logprob_chunk=32),
    task=config.Addition(low=0, high=99, question="{a}+{b}="),
    stages={"grpo": config.GRPO(loss=kl, **stage), "ppo": config.PPO(**stage)},
  )


def devices_of(name: str) -> AnyDevices:
  """Of a layout, the first that there are."""
  parallel = Parallel(**LAYOUTS[name])
  if parallel.mode == "mesh":
    count = max(parallel.data, 1) * parallel.fsdp * parallel.tensor
    return MeshDevices(make_mesh(parallel, jax.devices()[:count]))
  return Devices(4, "devices") if parallel.mode == "pmap" else Devices(1, None)


def run(name: str, kind: str, folder: str) -> dict[str, np.ndarray]:
  """Loss, gradient norm and tokens of each step, and the parameters after the last."""
  own, devices = experiment(folder), devices_of(name)
  policy = load_policy(own)
  params = jax.tree.map(np.asarray, policy.params)  # each owner has a copy of its own on devices
  setting = Setting(
    own, 0, devices.network(policy.network), policy.tokenizer, tasks.build(own.task), devices
  )
  stage = own.stages[kind]
  make = make_grpo_runner if kind == "grpo" else make_ppo_runner
  runner = make(setting, stage, params if kind == "grpo" else None)
  state = devices.replicate(devices.init(runner.init, params))
  figures, texts = [], []
  for step in range(STEPS):
    state, told = runner.advance(state, step)
    (outcome,) = told()
    wanted = ("train/grad_norm", "reward/mean", "policy/entropy", f"loss/{LOSS[kind]}")
    figures.append([outcome.figures[key] for key in wanted])
    texts += [text for record in outcome.samples for text in record["completions"]]
  leaves = jax.tree.leaves(jax.device_get(devices.first(state.params)))
  return {
    "figures": np.array(figures),
    "texts": np.array(texts),
    "params": np.concatenate([np.ravel(leaf) for leaf in leaves]),
  }


LOSS = {"grpo": "policy", "ppo": "ppo"}

if __name__ == "__main__":
  kind, out, *names = sys.argv[1:]
  found = {}
  for name in names:
    for key, value in run(name, kind, os.path.dirname(out)).items():
      found[f"{name}/{key}"] = value
    print(name, flush=True)
  np.savez(out, **found)
