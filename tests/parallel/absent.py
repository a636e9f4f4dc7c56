"""Programs of the main configs compiled for TPUs that are not there: a program of its own.

python -m tests.parallel.absent CASE OUT.json [PROGRAM...]
"""

import dataclasses
import json
import os
import runpy
import sys

if __name__ == "__main__":
  os.environ["JAX_PLATFORMS"] = "cpu"
  # What the compiler has to say goes to stderr; by default warnings go nowhere.
  os.environ |= {"TPU_LOG_DIR": "disabled", "TPU_MIN_LOG_LEVEL": "0", "TPU_STDERR_LOG_LEVEL": "0"}
  os.environ["JAX_COMPILATION_CACHE_DIR"] = ""  # a program from the cache says nothing

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grpo_jax import config
from grpo_jax.config import Architecture, Experiment, Parallel
from grpo_jax.model import Network
from grpo_jax.parallel.ahead import absent_devices, topology
from grpo_jax.run.ahead import compile_stage
from tests.parallel.hlo import collectives

_CONFIGS = os.path.join(os.path.dirname(__file__), "..", "..", "experiments", "configs")
_QWEN = {"vocab_size": 151936, "rope_theta": 1e6, "norm_eps": 1e-6, "qkv_bias": True}
# The sizes of the models that the configs name, and of one that stands for 7 billion parameters.
MODELS = {
  "SmolLM2-135M": Architecture(
    vocab_size=49152, hidden_size=576, layers=30, heads=9, kv_heads=3, head_size=64, ffn_size=1536
  ),
  "Qwen2.5-0.5B": Architecture(
    hidden_size=896, layers=24, heads=14, kv_heads=2, head_size=64, ffn_size=4864, **_QWEN
  ),
  "Qwen2.5-1.5B": Architecture(
    hidden_size=1536, layers=28, heads=12, kv_heads=2, head_size=128, ffn_size=8960, **_QWEN
  ),
  "7B": Architecture(
    vocab_size=32000, hidden_size=4096, layers=32, heads=32, kv_heads=32, head_size=128,
    ffn_size=11008, context_length=4096, tied_embeddings=False,
  ),
  # Vocabulary, heads and width are split, and no block of the vocabulary ends where a part does.
  "small": Architecture(
    vocab_size=1000, hidden_size=256, layers=2, heads=8, kv_heads=4, head_size=64, ffn_size=512
  ),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Case:
  """A config, the sizes of its model (None: its own), a slice, a layout, and what to change.

  S: prompt length. prompts: 0 is the config's own.
  """

  config: str
  model: str | None
  slice: str
  parallel: dict
  dtype: str | None = None
  S: int = 64
  prompts: int = 0
  micro_batches: int = 0

  def experiment(self) -> Experiment:
    if self.config == "large":
      whole = _large()
    else:
      whole = runpy.run_path(os.path.join(_CONFIGS, f"{self.config}.py"))["get_config"]()
    whole.model.dtype = self.dtype or whole.model.dtype
    whole.parallel = Parallel(**self.parallel)
    stage = whole.stages["grpo"]
    stage.rollout.prompts = self.prompts or stage.rollout.prompts
    stage.optimizer.micro_batches = self.micro_batches or stage.optimizer.micro_batches
    return whole

  def architecture(self, whole: Experiment) -> Architecture:
    if self.model is not None:
      return MODELS[self.model]
    return dataclasses.replace(whole.model.architecture, vocab_size=97)


def _large() -> Experiment:
  """What one would ask of 64 chips."""
  stage = config.GRPO(
    steps=100,
    rollout=config.Rollout(prompts=128, group_size=8, max_tokens=1024),
    optimizer=config.Optimizer(lr=1e-6, min_lr=1e-7, micro_batches=4),
    rewards={"number": 1.0},
  )
  return config.Experiment(
    model=config.Model(weights="7B", dtype="bfloat16", logprob_chunk=1024),
    task=config.Addition(),
    stages={"grpo": stage},
  )


def mesh(**axes) -> dict:
  return {"mode": "mesh", **axes}


_FSDP, _TENSOR, _FOUR = mesh(fsdp=4), mesh(tensor=4), mesh(fsdp=2, tensor=2)
_BOTH = mesh(data=2, fsdp=2, tensor=2)
_TINY = {"config": "tiny_arithmetic", "model": None, "S": 16}
_SMALL = {"config": "tiny_arithmetic", "model": "small", "S": 16}
_SMOL = {"config": "smollm2_addition", "model": "SmolLM2-135M"}
_GSM8K = {"config": "qwen2.5_gsm8k", "S": 256, "micro_batches": 4}
CASES = {
  "tiny pmap": Case(**_TINY, slice="v6e:2x2", parallel={"mode": "pmap"}),
  "small fsdp": Case(**_SMALL, slice="v5p:2x2x1", parallel=_FSDP),
  "small both": Case(**_SMALL, slice="v5e:2x4", parallel=_BOTH, dtype="bfloat16"),
  "tiny single": Case(**_TINY, slice="v5e:2x2", parallel={}),
  "smol single": Case(**_SMOL, slice="v5e:2x2", parallel={}),
  "smol pmap": Case(**_SMOL, slice="v5e:2x2", parallel={"mode": "pmap"}),
  "smol fsdp": Case(**_SMOL, slice="v5p:2x2x1", parallel=_FSDP),
  "smol tensor": Case(**_SMOL, slice="v6e:2x2", parallel=_TENSOR, dtype="bfloat16"),
  "smol both": Case(**_SMOL, slice="v5p:2x2x2", parallel=_BOTH),
  "0.5B fsdp": Case(**_GSM8K, model="Qwen2.5-0.5B", slice="v5e:2x2", parallel=_FSDP),
  "0.5B pmap": Case(**_GSM8K, model="Qwen2.5-0.5B", slice="v5p:2x2x1", parallel={"mode": "pmap"}),
  "0.5B both": Case(**_GSM8K, model="Qwen2.5-0.5B", slice="v5p:2x2x2", parallel=_BOTH),
  "1.5B single": Case(**_GSM8K, model="Qwen2.5-1.5B", slice="v5p:2x2x1", parallel={}),
  "1.5B fsdp": Case(**_GSM8K, model="Qwen2.5-1.5B", slice="v5p:2x2x1", parallel=_FSDP),
  "1.5B tensor": Case(**_GSM8K, model="Qwen2.5-1.5B", slice="v6e:2x2", parallel=_FOUR),
  "1.5B float32": Case(
    **_GSM8K, model="Qwen2.5-1.5B", slice="v5p:2x2x1", parallel=_FSDP, dtype="float32"
  ),
  "7B": Case("large", "7B", "v5p:4x4x4", mesh(fsdp=8, tensor=4), S=512),
}  # fmt: skip


def state_bytes(case: Case) -> int:
  """Parameters and Adam's two moments in float32 on one device."""
  whole = case.experiment()
  network = Network.from_config(case.architecture(whole), whole.model)
  if whole.parallel.mode != "mesh":
    return 12 * sum(leaf.size for leaf in jax.tree.leaves(network.abstract()))
  over = absent_devices(whole.parallel, topology(case.slice))
  placed = jax.tree.leaves(over.like(network.abstract()))
  return 12 * sum(int(np.prod(leaf.sharding.shard_shape(leaf.shape))) for leaf in placed)


def tossed() -> None:
  """A program that the partitioner can only do by making an array whole, which it warns of."""
  grid = Mesh(np.array(topology("v5e:2x4")).reshape(2, 4), ("a", "b"))

  def toss(x: jax.Array) -> jax.Array:
    for parts in ((None, None, ("b", "a")), (None, "a", None)):
      x = jnp.sin(jax.lax.with_sharding_constraint(x, NamedSharding(grid, PartitionSpec(*parts))))
    return x

  jax.jit(toss).lower(jax.ShapeDtypeStruct((8, 64, 128), jnp.float32)).compile()


def run(case: Case, programs: list[str]) -> dict:
  whole = case.experiment()
  compiled = compile_stage(
    whole, "grpo", topology(case.slice), case.architecture(whole),
    prompt_length=case.S, programs=programs or ("rollout", "update"),
  )  # fmt: skip
  return {"state_bytes": state_bytes(case)} | {
    name: {
      "memory": ahead.memory,
      "peak": ahead.peak,
      "seconds": ahead.seconds,
      "flops": ahead.program.cost_analysis()["flops"],
      "collectives": [dataclasses.asdict(c) for c in collectives(ahead.program.as_text())],
    }
    for name, ahead in compiled.items()
  }


if __name__ == "__main__":
  found = tossed() if sys.argv[1] == "tossed" else run(CASES[sys.argv[1]], sys.argv[3:])
  with open(sys.argv[2], "w") as file:
    json.dump(found, file)
