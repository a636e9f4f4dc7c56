"""A GRPO step of ours, timed: python -m benchmarks.our_step w1 MODEL -> one line of JSON.

MODEL is a Hugging Face folder or a GGUF file. The update is on-policy with random advantages, so
that no prompt is without signal. The first step compiles and is given apart.
"""

import json
import resource
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.workloads import WORKLOADS, Workload
from grpo_jax import config, weights
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import make_devices
from grpo_jax.rollout import make_rollout
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts


def main(workload: str, model: str) -> None:
  times = measure(WORKLOADS[workload], model)
  print(json.dumps(times))


def measure(work: Workload, path: str) -> dict:
  """Seconds of each step's rollout and update, the first with its compilation, and peak memory."""
  loaded = weights.load(path)
  settings = config.Model(
    weights=path,
    dtype=work.dtype,
    remat=work.remat,
    logprob_chunk=work.logprob_chunk,
    compactions=0,
  )
  devices = make_devices(config.Parallel())
  network = devices.network(Network.from_config(loaded.architecture, settings))
  optimizer = make_optimizer(config.Optimizer())
  roll = jax.jit(
    make_rollout(network, group_size=work.group_size, max_tokens=work.answer_tokens, stop_ids=(-1,))
  )
  update = jax.jit(
    make_grpo_step(
      network, config.LossConfig(), optimizer, lambda _: 1e-6, micro_batches=work.parts
    ),
    donate_argnums=0,
  )
  state = init_state(jax.tree.map(jnp.asarray, loaded.params), optimizer)
  del loaded
  rng = np.random.default_rng(0)
  rollouts, updates = [], []
  for step in range(work.steps + 1):
    started = time.monotonic()
    rollout = roll(state.params, _prompts(work, rng), _keys(step, work.prompts))
    jax.block_until_ready(rollout)
    rollouts.append(time.monotonic() - started)
    shape = (work.prompts, work.group_size)
    advantages = rng.normal(size=shape).astype(np.float32)
    started = time.monotonic()
    state, metrics = update(state, Batch(rollout, np.zeros(shape, np.float32), advantages))
    jax.block_until_ready((state, metrics))
    updates.append(time.monotonic() - started)
  return {
    "first": [rollouts[0], updates[0]],
    "rollout": rollouts[1:],
    "update": updates[1:],
    "peak_gb": _peak(),
  }


def _peak() -> float:
  """GB that were held at one time: of the accelerator, or of the process on a CPU."""
  figures = jax.devices()[0].memory_stats() or {}
  resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
  return figures.get("peak_bytes_in_use", resident) / 1e9


def _prompts(work: Workload, rng: np.random.Generator) -> Prompts:
  tokens = rng.integers(100, 10_000, (work.prompts, work.prompt_tokens)).astype(np.int32)
  return Prompts(tokens, np.ones(tokens.shape, bool))  # type: ignore[arg-type]


def _keys(step: int, prompts: int) -> jax.Array:
  return jax.random.split(jax.random.key(step), prompts)


if __name__ == "__main__":
  main(*sys.argv[1:])
