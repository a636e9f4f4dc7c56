"""The memory that a compiled update asks for, by algorithm: what a program needs, without a run."""

import functools

import jax
import jax.numpy as jnp

from experiments.configs import grpo_vs_ppo
from grpo_jax import config, tasks
from grpo_jax.config import PPO
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import make_devices
from grpo_jax.run.learn import stage_step
from grpo_jax.run.policy import load_policy
from grpo_jax.run.ppo import ppo_step
from grpo_jax.run.stage import Setting
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout

_S = 48  # tokens of the longest question of the main job, rounded up


def update_memory(name: str, answer_tokens: int, *, remat: bool) -> float:
  """Arguments, temporary arrays and results of one update, in 1e9 bytes, as the compiler has it.

  The state is donated: what an update writes over it is not counted again.
  """
  experiment = grpo_vs_ppo.get_config(name)
  stage = experiment.stages["rl"]
  assert isinstance(stage, config.GRPO)
  experiment.model.remat, stage.rollout.max_tokens = remat, answer_tokens
  policy = load_policy(experiment)
  network = Network.from_config(policy.network.architecture, experiment.model)
  task, devices = tasks.build(experiment.task), make_devices(experiment.parallel)
  setting = Setting(experiment, 0, network, policy.tokenizer, task, devices)
  if isinstance(stage, PPO):
    step, init = ppo_step(setting, stage)
  else:
    optimizer = make_optimizer(stage.optimizer)
    step, init = (
      stage_step(setting, stage, optimizer),
      functools.partial(init_state, optimizer=optimizer),
    )
  state = jax.eval_shape(init, network.abstract())
  lowered = jax.jit(step, donate_argnums=0).lower(state, _batch(stage))
  used = lowered.compile().memory_analysis()
  whole = used.argument_size_in_bytes + used.temp_size_in_bytes + used.output_size_in_bytes
  return (whole - used.alias_size_in_bytes) / 1e9


def _batch(stage: config.GRPO) -> Batch:
  """The shapes of a batch of the stage."""
  sizes, has_critic = stage.rollout, isinstance(stage, PPO)
  P, G, T = sizes.prompts, sizes.group_size, sizes.max_tokens
  shaped = jax.ShapeDtypeStruct
  prompts = Prompts(shaped((P, _S), jnp.int32), shaped((P, _S), bool))
  each = shaped((P, G, T), jnp.float32)
  mask = shaped((P, G, T), bool)
  tokens = shaped((P, G, T), jnp.int32)
  rollout = Rollout(prompts, tokens, mask, each, shaped((P, G), bool))
  by_token = has_critic or stage.shaping.whiten
  advantages = each if by_token else shaped((P, G), jnp.float32)
  values = {"old_values": each, "returns": each} if has_critic else {}
  return Batch(rollout, shaped((P, G), jnp.float32), advantages, **values)
