"""The memory that a compiled update asks for, by algorithm: what a program needs, without a run."""

import jax

from experiments.configs import grpo_vs_ppo
from grpo_jax import config, weights
from grpo_jax.run.ahead import compile_stage

_S = 48  # tokens of the longest question of the main job, rounded up


def update_memory(name: str, answer_tokens: int, *, remat: bool) -> float:
  """Arguments, temporary arrays and results of one update, in 1e9 bytes, as the compiler has it.

  The state is donated: what an update writes over it is not counted again.
  """
  experiment = grpo_vs_ppo.get_config(name)
  stage = experiment.stages["rl"]
  assert isinstance(stage, config.GRPO)
  experiment.model.remat, stage.rollout.max_tokens = remat, answer_tokens
  architecture, _ = weights.outline(experiment.model.weights)
  found = compile_stage(
    experiment, "rl", jax.devices(), architecture, prompt_length=_S, programs=["update"]
  )
  return found["update"].peak / 1e9
