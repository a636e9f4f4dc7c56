"""What the machine could do: matrix rate and copy bandwidth, float32 -> one line of JSON.

python -m benchmarks.floor

The rate is that of products of the model's own shapes, for an update (1,116 rows) and, to know what
narrow products cost as XLA lays them out, for a decode step (16 rows); the bandwidth is of reading.
"""

import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.workloads import Workload

# SmolLM2-135M: width, feed-forward, parameters of all layers, of the embedding.
D, F, LAYERS, EMBEDDING = 576, 1536, 106_182_720, 28_311_552


def measure() -> dict[str, float]:
  """gflops of wide products, gflops_decode of narrow ones, gb_per_s of reading."""
  return {
    "gflops": _rate(1116, 30),
    "gflops_decode": _rate(16, 300),
    "gb_per_s": _bandwidth(),
  }


def _rate(rows: int, repeats: int) -> float:
  """Of products with as many weights as do not fit in the cache, in 1e9 operations a second."""
  layers = 30
  x = jnp.ones((rows, D))
  up, down = jnp.ones((layers, D, F)) * 1e-3, jnp.ones((layers, F, D)) * 1e-3

  @jax.jit
  def run(x, ups, downs):
    for up, down in zip(ups, downs, strict=True):
      x = (x @ up) @ down
    return x

  seconds = _fastest(lambda: run(x, list(up), list(down)), max(repeats // layers, 3))
  return layers * 4 * rows * D * F / seconds / 1e9


def _bandwidth() -> float:
  """Of summing 1 GB, in 1e9 bytes a second."""
  values, total = jnp.ones(2**28), jax.jit(jnp.sum)
  return values.nbytes / _fastest(lambda: total(values), 5) / 1e9


def _fastest(call: Callable[[], jax.Array], times: int) -> float:
  jax.block_until_ready(call())
  taken = []
  for _ in range(times):
    started = time.monotonic()
    jax.block_until_ready(call())
    taken.append(time.monotonic() - started)
  return min(taken)


def floor_seconds(work: Workload, rates: dict[str, float]) -> tuple[float, float]:
  """The least that a rollout and an update can take, the prompt paid once for its group.

  Rollout: the prompt's products, then for each token the larger of reading the weights once and
  multiplying with them at the rate of wide products. Update: 6 operations a parameter and token,
  and AdamW's 28 bytes a parameter (reads of gradient, moments, parameters; writes of the last
  three).
  """
  parameters = LAYERS + EMBEDDING
  answers = work.prompts * work.group_size
  asked = work.prompts * work.prompt_tokens
  read = 4 * parameters / rates["gb_per_s"] / 1e9
  multiplied = 2 * answers * parameters / rates["gflops"] / 1e9
  prefill = 2 * asked * LAYERS / rates["gflops"] / 1e9
  rollout = prefill + work.answer_tokens * max(read, multiplied)
  told = answers * work.answer_tokens
  operations = 6 * ((asked + told) * LAYERS + told * EMBEDDING)
  update = operations / rates["gflops"] / 1e9 + 28 * parameters / rates["gb_per_s"] / 1e9
  return rollout, update


if __name__ == "__main__":
  print(json.dumps(measure()))
