"""What each lever on memory saves, and costs: SmolLM2-135M, one update and its pass of log-probs.

python -m benchmarks.levers [--rounds=3] [--seconds] -> Markdown

Memory is what the compiler asks for: arguments, temporary arrays and results. The reference is
counted where it stays on the device. Seconds are the median of updates that run in turns.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from experiments.configs import smollm2_addition
from grpo_jax import config
from grpo_jax.config import Model, Optimizer
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer
from grpo_jax.run.policy import load_policy
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout, TrainState

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Timed updates of each.", lower_bound=1)
_SECONDS = flags.DEFINE_bool("seconds", False, "Time the updates too.")
P, G, S, T = 4, 8, 48, 128


@dataclasses.dataclass(frozen=True)
class Lever:
  """Fields of model and optimiser, and the bytes that a number of the reference takes."""

  model: dict[str, Any] = dataclasses.field(default_factory=dict)
  optimizer: dict[str, Any] = dataclasses.field(default_factory=dict)
  reference_bytes: int = 4


LEVERS = {
  "none: remat=False, one micro-batch, chunks of 256": Lever(),
  "model.remat=True": Lever({"remat": True}),
  "model.dtype=bfloat16": Lever({"dtype": "bfloat16"}),
  "model.logprob_chunk=64": Lever({"logprob_chunk": 64}),
  "optimizer.micro_batches=2": Lever({}, {"micro_batches": 2}),
  "optimizer.micro_batches=4": Lever({}, {"micro_batches": 4}),
  "optimizer.first_moment=bfloat16": Lever({}, {"first_moment": "bfloat16"}),
  "reference_dtype=bfloat16": Lever({}, {}, 2),
  "reference_place=host": Lever({}, {}, 0),
  "all of them, micro_batches=4": Lever(
    {"remat": True, "dtype": "bfloat16", "logprob_chunk": 64},
    {"micro_batches": 4, "first_moment": "bfloat16"},
    0,
  ),
}


def main(_: list[str]) -> None:
  policy = load_policy(smollm2_addition.get_config())
  numbers = sum(leaf.size for leaf in jax.tree.leaves(policy.params))
  compiled, states, sizes = {}, {}, {}
  for name, lever in LEVERS.items():
    step, init = _update(lever, policy.network)
    state = jax.eval_shape(init, policy.params)
    compiled[name] = jax.jit(step, donate_argnums=0).lower(state, _batch()).compile()
    used = compiled[name].memory_analysis()
    whole = used.argument_size_in_bytes + used.temp_size_in_bytes + used.output_size_in_bytes
    sizes[name] = (whole - used.alias_size_in_bytes + lever.reference_bytes * numbers) / 1e9
    states[name] = init
  seconds = _timed(compiled, states, policy.params) if _SECONDS.value else {}
  _print(sizes, seconds)


def _update(lever: Lever, network: Network) -> tuple[Callable, Callable[[Any], TrainState]]:
  model = Model(weights="-", **({"remat": False} | lever.model))
  settings = Optimizer(**lever.optimizer)
  optimizer = make_optimizer(settings)
  step = make_grpo_step(
    Network.from_config(network.architecture, model),
    config.LossConfig(kl_coefficient=0.05),
    optimizer,
    lambda _: 1e-6,
    micro_batches=settings.micro_batches,
  )
  return step, functools.partial(init_state, optimizer=optimizer)


def _batch() -> Batch:
  """Random answers, all of T tokens, each prompt with signal."""
  rng = np.random.default_rng(0)
  prompts = Prompts(rng.integers(0, 40_000, (P, S)).astype(np.int32), np.ones((P, S), bool))
  tokens = rng.integers(0, 40_000, (P, G, T)).astype(np.int32)
  logprobs = np.full((P, G, T), -10, np.float32)
  rollout = Rollout(prompts, tokens, np.ones((P, G, T), bool), logprobs, np.ones((P, G), bool))
  advantages = rng.normal(size=(P, G)).astype(np.float32)
  return Batch(rollout, np.zeros((P, G), np.float32), advantages, ref_logprobs=logprobs)


def _timed(compiled: dict, states: dict, params: Any) -> dict[str, float]:
  """Seconds of an update, the median of rounds in which each has its turn."""
  spent: dict[str, list[float]] = {name: [] for name in compiled}
  for _ in range(_ROUNDS.value):
    for name, step in compiled.items():
      state = states[name](jax.tree.map(jnp.array, params))
      started = time.monotonic()
      jax.block_until_ready(step(state, _batch()))
      spent[name].append(time.monotonic() - started)
      del state
  return {name: statistics.median(times) for name, times in spent.items()}


def _print(sizes: dict[str, float], seconds: dict[str, float]) -> None:
  base = next(iter(sizes))
  print("| lever | memory | of none | seconds an update | of none |")
  print("| --- | --- | --- | --- | --- |")
  for name, size in sizes.items():
    share = f"{size / sizes[base]:.2f}"
    took = f"{seconds[name]:.1f} | {seconds[name] / seconds[base]:.2f}" if seconds else " | "
    print(f"| `{name}` | {size:.2f} GB | {share} | {took} |")


if __name__ == "__main__":
  app.run(main)
