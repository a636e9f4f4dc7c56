"""What the programs of a stage are given, as shapes and types: to compile them without data."""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp

from grpo_jax.advantages import make_advantages
from grpo_jax.config import GRPO, PPO, SFT, Pretrain, RewardModel, Stage
from grpo_jax.packing import Packed
from grpo_jax.types import Batch, Prompts, Rollout


def shape(size: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
  """Stands for an array, whatever the types say."""
  return jax.ShapeDtypeStruct(size, dtype)


def prompts(P: int, S: int) -> Prompts:
  """P prompts of S tokens."""
  return Prompts(shape((P, S), jnp.int32), shape((P, S), jnp.bool_))


def rollout(stage: GRPO, P: int, S: int) -> Rollout:
  """The stage's answers to P prompts."""
  answers = (P, stage.rollout.group_size, stage.rollout.total_tokens)
  return Rollout(
    prompts(P, S),
    shape(answers, jnp.int32),
    shape(answers, jnp.bool_),
    shape(answers),
    shape(answers[:2], jnp.bool_),
  )


def batch(stage: Stage, S: int) -> Any:
  """What one update of a stage of any kind learns from."""
  if isinstance(stage, GRPO):
    return policy_batch(stage, S)
  if isinstance(stage, Pretrain):
    rows = (stage.batch_size, stage.length)
    return Packed(shape(rows, jnp.int32), shape(rows, jnp.int32), shape(rows, jnp.bool_))
  assert isinstance(stage, (RewardModel, SFT)), stage
  answers = (stage.batch_size, 2 if isinstance(stage, RewardModel) else 1, stage.max_tokens)
  asked = prompts(stage.batch_size, S)
  return asked, shape(answers, jnp.int32), shape(answers, jnp.bool_)


def policy_batch(stage: GRPO, S: int) -> Batch:
  """What one update of a policy learns from, with the log-probs and values that it needs."""
  P, _ = stage.batch
  answers = (P, stage.rollout.group_size, stage.rollout.total_tokens)
  each, mask, critic = shape(answers), shape(answers, jnp.bool_), isinstance(stage, PPO)
  return Batch(
    rollout(stage, P, S),
    shape(answers[:2]),
    each if critic else _advantages(stage, answers),
    old_logprobs=each if stage.needs_old else None,
    ref_logprobs=each if stage.loss.kl_coefficient > 0 else None,
    kept=mask if stage.loss.entropy_top < 1 else None,
    old_values=each if critic else None,
    returns=each if critic else None,
  )


def _advantages(stage: GRPO, answers: tuple[int, ...]) -> jax.Array:
  """By answer or by token, as the stage makes them."""
  rewards = (len(stage.rewards), *answers[:2])
  found = jax.eval_shape(
    functools.partial(make_advantages, stage=stage),
    shape(answers[:2]),
    shape(rewards),
    shape(rewards[:1]),
    shape(answers, jnp.bool_),
    kl=shape(answers) if stage.early_kl else None,
  )
  return cast(jax.Array, found)
