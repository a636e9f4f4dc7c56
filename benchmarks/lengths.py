"""Useful tokens a second where answers end at very different lengths, batch shrinking or not.

python -m benchmarks.lengths [--rounds=3] -> Markdown

8 prompts of 46 tokens x 8 answers of SmolLM2's shape with random weights, whose next token is
nearly uniform: one of every 64 tokens ends an answer, so lengths are geometric with mean 64, cut at
256. Every setting decodes the same answers; tokens after an answer's end are not counted.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from grpo_jax.config import Architecture
from grpo_jax.model import Network
from grpo_jax.rollout import make_rollout
from grpo_jax.types import Prompts

_ROUNDS = flags.DEFINE_integer("rounds", 3, "Timed runs of each setting.", lower_bound=1)
P, G, S, T, V = 8, 8, 46, 256, 49152
SHAPE = Architecture(
  vocab_size=V, hidden_size=576, layers=30, heads=9, kv_heads=3, head_size=64, ffn_size=1536
)


def main(_: list[str]) -> None:
  """Times 0 to 3 compactions, in turns."""
  params = jax.jit(Network(SHAPE).init)(jax.random.key(0))
  tokens = np.random.default_rng(0).integers(100, 10_000, (P, S)).astype(np.int32)
  prompts = Prompts(jnp.asarray(tokens), jnp.ones((P, S), bool))
  keys = jax.random.split(jax.random.key(1), P)
  stops = tuple(range(V - V // 64, V))
  settings = {}
  for compactions in range(4):
    network = Network(SHAPE, compactions=compactions)
    rollout = make_rollout(network, group_size=G, max_tokens=T, stop_ids=stops)
    started = time.monotonic()
    compiled = jax.jit(rollout).lower(params, prompts, keys).compile()
    settings[compactions] = (compiled, time.monotonic() - started)
  seconds: dict[int, list[float]] = {compactions: [] for compactions in settings}
  useful = 0
  for _round in range(_ROUNDS.value):
    for compactions, (compiled, _) in settings.items():
      started = time.monotonic()
      result = jax.block_until_ready(compiled(params, prompts, keys))
      seconds[compactions].append(time.monotonic() - started)
      useful = int(result.mask.sum())
  print(f"{P * G} answers, {useful} tokens, longest {int(result.mask.sum(-1).max())}\n")
  print("| compactions | seconds | useful tokens/s | against none | compile |")
  print("| --- | --- | --- | --- | --- |")
  for compactions, (_, compiling) in settings.items():
    took = float(np.median(seconds[compactions]))
    gain = np.median(np.divide(seconds[0], seconds[compactions]))
    print(
      f"| {compactions} | {took:.1f} | {useful / took:.0f} | {gain:.2f}x | {compiling:.0f} s |",
      flush=True,
    )


if __name__ == "__main__":
  app.run(main)
