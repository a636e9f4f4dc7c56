"""Google Tunix's GRPO step, timed, in its own environment: python tunix_step.py w1 MODEL.

The same workload as our_step.py: Tunix's learner, trainer and sampler, and its Llama with the same
float32 weights. A step's rollout is the cluster's generation, its update the rest. Tunix's Llama
rotates with a base of 1e6, whatever its ModelConfig says: as fast, but not SmolLM2's answers. Its
rematerialisation raises a TraceContextError with the flax it installs, so it always runs without.
"""

import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tunix.models.llama3 import model as llama
from tunix.models.llama3 import params as llama_params
from tunix.rl import rl_cluster
from tunix.rl.grpo import grpo_learner
from tunix.rl.rollout import base_rollout
from workloads import WORKLOADS, Workload

_NO_ID = -1  # to pad with and to stop at: no answer is cut short, no token masked


def main(workload: str, model: str) -> None:
  work, count = WORKLOADS[workload], WORKLOADS[workload].steps
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("fsdp", "tp"))
  cluster = _Timed(
    actor=_policy(model, mesh),
    tokenizer=_Numbers(),
    cluster_config=_arguments(work, count + 1, mesh),
  )
  learner = grpo_learner.GRPOLearner(
    rl_cluster=cluster,
    algo_config=grpo_learner.GRPOConfig(num_generations=work.group_size, beta=0.0),
    reward_fns=lambda completions, **_: [float(len(text) % 7) for text in completions],
  )
  ticks: list[float] = []
  learner.train(_batches(work, count + 1, ticks))
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
  rollouts = cluster.rollouts
  updates = [b - a - r for a, b, r in zip(ticks[:-1], ticks[1:], rollouts, strict=True)]
  times = {
    "first": [rollouts[0], updates[0]],
    "rollout": rollouts[1:],
    "update": updates[1:],
    "peak_gb": peak,
    "lengths": cluster.lengths,
  }
  print(json.dumps(times))


def _policy(folder: str, mesh: jax.sharding.Mesh) -> llama.Llama3:
  with open(os.path.join(folder, "config.json")) as file:
    read = json.load(file)
  config = llama.ModelConfig(
    num_layers=read["num_hidden_layers"],
    vocab_size=read["vocab_size"],
    embed_dim=read["hidden_size"],
    hidden_dim=read["intermediate_size"],
    num_heads=read["num_attention_heads"],
    head_dim=read["head_dim"],
    num_kv_heads=read["num_key_value_heads"],
    rope_theta=read["rope_theta"],
    norm_eps=read["rms_norm_eps"],
    weight_tying=read["tie_word_embeddings"],
  )
  return llama_params.create_model_from_safe_tensors(folder, config, mesh, jnp.float32)


def _arguments(work: Workload, steps: int, mesh: jax.sharding.Mesh) -> rl_cluster.ClusterConfig:
  """One update a batch, whole where it fits (no gradient accumulator); sampling without a sort."""
  sizes = {}
  if work.peer_parts > 1:
    sizes = {
      "mini_batch_size": work.prompts,
      "train_micro_batch_size": work.prompts // work.peer_parts,
    }
  return rl_cluster.ClusterConfig(
    role_to_mesh=dict.fromkeys((rl_cluster.Role.ACTOR, rl_cluster.Role.ROLLOUT), mesh),
    training_config=rl_cluster.RLTrainingConfig(
      actor_optimizer=optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(1e-6, b2=0.95, weight_decay=0.0)
      ),
      eval_every_n_steps=1000,
      max_steps=steps + 1,  # the batches end first
      **sizes,
    ),
    rollout_config=base_rollout.RolloutConfig(
      max_prompt_length=work.prompt_tokens,
      max_tokens_to_generate=work.answer_tokens,
      kv_cache_size=work.prompt_tokens + work.answer_tokens,
      temperature=1.0,
      top_p=1.0,
      eos_tokens=[_NO_ID],
    ),
  )


def _batches(work: Workload, steps: int, ticks: list[float]) -> Iterator[dict]:
  """A batch of prompts a step. Tunix asks for one as a step begins: `ticks` are these times."""
  rng = np.random.default_rng(0)
  for _ in range(steps):
    ids = rng.integers(100, 10_000, (work.prompts, work.prompt_tokens))
    ticks.append(time.monotonic())
    yield {"prompts": np.array([" ".join(map(str, row)) for row in ids])}
  ticks.append(time.monotonic())


class _Numbers:
  """A tokenizer of texts such as "12 345", which are their ids."""

  def encode(self, text: str) -> list[int]:
    return [int(word) for word in text.split()]

  def decode(self, ids: list[int]) -> str:
    return " ".join(map(str, ids))

  def bos_id(self) -> None:
    return None

  def pad_id(self) -> int:
    return _NO_ID

  eos_id = pad_id


class _Timed(rl_cluster.RLCluster):
  """The cluster with a clock about its generation."""

  def __init__(self, **arguments):
    self.rollouts: list[float] = []
    self.lengths: list[float] = []
    super().__init__(**arguments)

  def generate(self, *args, **kwargs):
    started = time.monotonic()
    result = super().generate(*args, **kwargs)  # NumPy arrays: nothing is left to wait for
    self.rollouts.append(time.monotonic() - started)
    self.lengths.append(statistics.mean(map(len, result.tokens)))
    return result


if __name__ == "__main__":
  main(*sys.argv[1:])
