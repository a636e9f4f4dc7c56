"""A stage of PPO: the rollout and loss of GRPO, with a critic's advantages."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.advantages import penalties, policy_kl
from grpo_jax.config import PPO
from grpo_jax.losses import gae
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.run.answers import Answers
from grpo_jax.run.grpo import make_policy_runner
from grpo_jax.run.learn import Looks, make_learner, make_looks
from grpo_jax.run.stage import Runner, Setting
from grpo_jax.shaping import normalized
from grpo_jax.steps import StepFn
from grpo_jax.steps.ppo import (
  Optimizers,
  answer_values,
  init_ppo_params,
  init_ppo_state,
  make_ppo_step,
)
from grpo_jax.steps.update import split
from grpo_jax.types import Batch, Params, Rollout, TrainState


def make_ppo_runner(
  setting: Setting, stage: PPO, reference: Params | None, past: Iterable[Mapping[str, Any]] = ()
) -> Runner:
  """Builds the stage; arguments as in `make_grpo_runner`."""
  _, init = ppo_step(setting, stage)

  def policy(state: TrainState) -> Params:
    return dict(state.params["policy"])

  return make_policy_runner(
    setting,
    stage,
    make_looks(setting, stage, reference, policy),
    make_ppo_batch_maker(setting, stage),
    make_learner(setting, stage, lambda stage: ppo_step(setting, stage)[0]),
    init,
    past,
    policy,
  )


def ppo_step(setting: Setting, stage: PPO) -> tuple[StepFn, Callable[[Params], TrainState]]:
  """The update that the stage's config describes, and policy -> the state before the first."""
  optimizers = _optimizers(stage)
  step = make_ppo_step(
    setting.network,
    stage.loss,
    optimizers,
    value_coefficient=stage.value_coefficient,
    value_clip=stage.value_clip,
    critic_warmup=stage.critic_warmup * stage.minibatches * stage.epochs,
    temperature=stage.rollout.temperature,
    length_budget=stage.rollout.own_tokens,
    micro_batches=stage.optimizer.micro_batches,
    axis_name=setting.devices.axis_name,
  )

  def init(policy: Params) -> TrainState:
    shared = stage.critic == "shared"
    return init_ppo_state(init_ppo_params(setting.network, policy, shared=shared), optimizers)

  return step, init


def _optimizers(stage: PPO) -> Optimizers:
  """Of the policy and, where it is separate, of the critic, with their learning rates."""
  configs = {"policy": stage.optimizer}
  if stage.critic == "separate":
    configs["critic"] = stage.critic_optimizer
  return {
    name: (make_optimizer(config), make_schedule(config, stage.updates))
    for name, config in configs.items()
  }


def make_ppo_batch_maker(setting: Setting, stage: PPO) -> Callable[[Params, Answers, Looks], Batch]:
  """Builds (parameters, answers, log-probs before the update) -> what the update learns from."""
  devices, parts = setting.devices, stage.minibatches * stage.optimizer.micro_batches
  judge = devices.alone(
    lambda stage: functools.partial(token_advantages, stage=stage),
    stage,
    name=f"{setting.name}/advantages",
  )

  def values(params: Params, rollout: Rollout) -> jax.Array:
    one = functools.partial(answer_values, setting.network, params)
    return jax.lax.map(one, split(rollout, parts, setting.network.place)).reshape(
      rollout.tokens.shape
    )

  compiled = setting.program(lambda _: values, stage, "values")

  def make_batch(params: Params, used: Answers, looks: Looks) -> Batch:
    old_values = jax.device_get(devices.join(compiled(params, devices.split(used.rollout))))
    total, mask = used.scores.total, np.asarray(used.rollout.mask)
    kl = None
    if looks.ref_logprobs is not None and stage.loss.kl_place == "reward":
      kl = policy_kl(jnp.asarray(looks.old_logprobs), jnp.asarray(looks.ref_logprobs), stage)
    advantages, returns = judge(total, old_values, mask, kl=kl)
    return Batch(
      used.rollout,
      jnp.asarray(total),
      advantages,
      **vars(looks),
      old_values=old_values,
      returns=returns,
    )

  return make_batch


def token_advantages(
  rewards: jax.Array, values: jax.Array, mask: jax.Array, stage: PPO, *, kl: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
  """GAE of the answers' tokens: the reward falls on the last, the KL on each.

  Args:
    rewards: f32[P,G], NaN where one could not be scored: its answer is masked.
    values: f32[P,G,T], what the critic said. mask: bool[P,G,T].
    stage: gamma, lam, shaping and loss.kl_coefficient.
    kl: f32[P,G,T] to the reference, with kl_place="reward".

  Returns:
    advantages and returns, f32[P,G,T], 0 where masked.
  """
  scored = ~jnp.isnan(rewards)
  mask = mask & scored[..., None]
  penalty = penalties(mask, stage)
  shaped = jnp.where(scored, rewards, 0) + (0 if penalty is None else penalty)
  # Not the mask's sum, which is no place where observations stand between the turns.
  last = mask & (jnp.cumsum(mask, axis=-1) == mask.sum(axis=-1, keepdims=True))
  each = jnp.where(last, shaped[..., None], 0.0)
  if kl is not None:
    each -= stage.loss.kl_coefficient * kl
  advantages, returns = gae(each, values, mask, gamma=stage.gamma, lam=stage.lam)
  if stage.shaping.whiten:
    advantages = jnp.where(mask, normalized(advantages, mask, eps=stage.grouping.eps), 0)
  return advantages, returns
