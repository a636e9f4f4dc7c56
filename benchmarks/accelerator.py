"""W6: decode and update of Qwen2.5's shapes on one accelerator, against what the card can do.

python -m benchmarks.accelerator [--parts=decode,update] [--models=qwen2.5-0.5b,qwen2.5-1.5b]

Random weights, products in bfloat16, float32 parameters and AdamW. The card's matrix rate and its
bandwidth are measured in the same run; a share is of these. Bytes of a decode step: the weights
once, every prompt's keys and values once, and of each answer those that are written so far.
"""

import functools
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from benchmarks.kernels import table
from grpo_jax import config
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import make_devices
from grpo_jax.plan.count import embedding_parameters, layer_products
from grpo_jax.plan.presets import model_architecture
from grpo_jax.rollout import make_rollout
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout

_PARTS = flags.DEFINE_list("parts", ["decode", "update"], "Of decode and update.")
_MODELS = flags.DEFINE_list("models", ["qwen2.5-0.5b", "qwen2.5-1.5b"], "As plan/presets.py.")
_ANSWERS = flags.DEFINE_list("answers", ["64", "256", "512"], "Answers that decode at one time.")
_TOKENS = flags.DEFINE_list("tokens", ["8", "16", "32", "64"], "Answer tokens of an update / 1024.")
_LENGTHS = flags.DEFINE_list("lengths", ["128", "256", "512"], "Prompt, decoded, updated tokens.")
_CHUNK = flags.DEFINE_integer("chunk", 4096, "Tokens whose logits exist at one time.")
_PART = flags.DEFINE_integer("micro_batch", 16, "Answer tokens of a micro-batch / 1024.")
_REMAT = flags.DEFINE_bool("remat", True, "Layers are computed again in the backward pass.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Timed calls.")
_TRACE = flags.DEFINE_string("trace", "", "Folder for a trace of each first case; prints kernels.")
_G = 8


def main(_: list[str]) -> None:
  """Prints a line of JSON a measurement."""
  card = {"matrix": matrix_rate(), "copy": bandwidth()}
  _tell("card", jax.devices()[0].device_kind, rate=card["matrix"] / 1e12, gbs=card["copy"] / 1e9)
  for name in _MODELS.value:
    settings = config.Model(
      architecture=model_architecture(name),
      tokenizer="characters",
      dtype="bfloat16",
      remat=_REMAT.value,
      logprob_chunk=_CHUNK.value,
      compactions=0,
    )
    network = Network.from_config(model_architecture(name), settings)
    network = make_devices(config.Parallel()).network(network)
    if "decode" in _PARTS.value:
      decode(name, network, card)
    if "update" in _PARTS.value:
      update(name, network, card)


def decode(name: str, network: Network, card: dict[str, float]) -> None:
  """Whole rollouts of answers that never stop, by number of answers."""
  S, T = map(int, _LENGTHS.value[:2])
  params = jax.jit(network.init)(jax.random.key(0))
  roll = jax.jit(make_rollout(network, group_size=_G, max_tokens=T, stop_ids=(-1,)))
  for answers in map(int, _ANSWERS.value):
    P = answers // _G
    asked = (_prompts(P, S, network), jax.random.split(jax.random.key(1), P))
    seconds, compiled = _timed(lambda asked=asked: roll(params, *asked), f"{name}-{answers}")
    least = decode_bytes(network.architecture, P, S, T) / card["copy"]
    _tell(
      *("decode", name),
      answers=answers,
      tokens_per_s=answers * T / seconds,
      ms_per_token=seconds / T * 1e3,
      share=least / seconds,
      compile_s=compiled,
    )


def decode_bytes(a: config.Architecture, P: int, S: int, T: int) -> float:
  """What T decode steps of P groups have to read, in a type of two bytes."""
  weights = a.layers * layer_products(a) + embedding_parameters(a)
  token = 2 * a.layers * a.kv_heads * a.head_size
  return 2.0 * T * (weights + P * token * (S + _G * T / 2))


def update(name: str, network: Network, card: dict[str, float]) -> None:
  """Updates by answer tokens, their prompts beside them."""
  S, _, T = map(int, _LENGTHS.value)
  optimizer = make_optimizer(config.Optimizer())
  state = init_state(jax.jit(network.init)(jax.random.key(0)), optimizer)
  for kilo in map(int, _TOKENS.value):
    P = kilo * 1024 // (_G * T)
    step = make_grpo_step(
      network,
      config.LossConfig(),
      optimizer,
      lambda _: 1e-6,
      micro_batches=max(kilo // _PART.value, 1),
    )
    step, batch = jax.jit(step, donate_argnums=0), _batch(P, S, T, network)

    def call(step: Callable = step, batch: Batch = batch) -> Any:
      nonlocal state
      state, metrics = step(state, batch)
      return metrics

    seconds, compiled = _timed(call, f"{name}-update-{kilo}k")
    work = update_operations(network.architecture, P, S, T)
    _tell(
      *("update", name),
      tokens=P * _G * T,
      tokens_per_s=P * _G * T / seconds,
      seconds=seconds,
      tflops=work / seconds / 1e12,
      share=work / seconds / card["matrix"],
      compile_s=compiled,
    )


def update_operations(a: config.Architecture, P: int, S: int, T: int) -> float:
  """What a forward and a backward pass have to multiply; nothing that is computed again counts."""
  layers = 2.0 * a.layers * layer_products(a) * (S + _G * T)
  pairs = S * S / 2 + _G * (T * S + T * T / 2)
  attention = 4.0 * a.layers * a.heads * a.head_size * pairs
  return 3.0 * P * (layers + attention + 2.0 * embedding_parameters(a) * _G * T)


def matrix_rate(n: int = 8192) -> float:
  """Operations a second of n x n x n products in bfloat16; of small ones on a CPU."""
  n = n // 32 if jax.default_backend() == "cpu" else n
  x = jax.random.normal(jax.random.key(0), (n, n), jnp.bfloat16)
  product = jax.jit(lambda x: jax.lax.fori_loop(0, 10, lambda _, y: x @ y * 0.01, x))
  return 20.0 * n**3 / _fastest(functools.partial(product, x))


def bandwidth(gigabytes: float = 4.0) -> float:
  """Bytes a second of a copy, those read and those written."""
  gigabytes = gigabytes / 16 if jax.default_backend() == "cpu" else gigabytes
  x = jnp.ones(int(gigabytes * 2**28))
  return 2.0 * x.nbytes / _fastest(functools.partial(jax.jit(lambda x: x + 1), x))


def _fastest(call: Callable[[], Any]) -> float:
  jax.block_until_ready(call())
  return min(_seconds(call) for _ in range(5))


def _timed(call: Callable[[], Any], name: str) -> tuple[float, float]:
  """The median of the repeats, and what the first call took more."""
  first = _seconds(call)
  times = [_seconds(call) for _ in range(_REPEATS.value)]
  if _TRACE.value:
    with jax.profiler.trace(f"{_TRACE.value}/{name}"):
      _seconds(call)
    print(f"# {name}\n{table(f'{_TRACE.value}/{name}')}", flush=True)
  return statistics.median(times), first - statistics.median(times)


def _seconds(call: Callable[[], Any]) -> float:
  started = time.monotonic()
  jax.block_until_ready(call())
  return time.monotonic() - started


def _prompts(P: int, S: int, network: Network) -> Prompts:
  tokens = jax.random.randint(jax.random.key(2), (P, S), 0, network.architecture.vocab_size)
  return Prompts(tokens, jnp.ones((P, S), bool))


def _batch(P: int, S: int, T: int, network: Network) -> Batch:
  shape = (P, _G, T)
  tokens = jax.random.randint(jax.random.key(3), shape, 0, network.architecture.vocab_size)
  mask, zeros = jnp.ones(shape, bool), jnp.zeros(shape)
  rollout = Rollout(_prompts(P, S, network), tokens, mask, zeros, finished=mask[..., 0])
  advantages = np.random.default_rng(0).normal(size=shape[:2]).astype(np.float32)
  return Batch(rollout, jnp.zeros(shape[:2]), jnp.asarray(advantages))


def _tell(*names: str, **figures: float) -> None:
  rounded = {key: float(f"{value:.4g}") for key, value in figures.items()}
  print(json.dumps({"what": " ".join(names)} | rounded), flush=True)


if __name__ == "__main__":
  app.run(main)
