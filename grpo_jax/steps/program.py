"""Whole steps in one program: sample, score, compare, update, many times without the host."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax

from grpo_jax import model
from grpo_jax.metrics import Metrics
from grpo_jax.rollout import RolloutFn
from grpo_jax.steps.grpo import StepFn
from grpo_jax.types import Batch, Prompts, Rollout, TrainState

# (rollout, what rewards read, step of the stage i32[], parameters of reward models) -> the weighted
# sum f32[P,G], each reward f32[R,P,G], and advantages f32[P,G] or f32[P,G,T]
JudgeFn = Callable[[Rollout, Any, jax.Array, Any], tuple[jax.Array, jax.Array, jax.Array]]


@flax.struct.dataclass
class Asked:
  """What a step is given: its number i32[], prompts, what rewards read, and key data u32[P,2]."""

  step: jax.Array
  prompts: Prompts
  targets: Any
  keys: jax.Array


@flax.struct.dataclass
class Record:
  """What is told of a step: its answers, rewards f32[P,G] and f32[R,P,G], advantages, metrics."""

  rollout: Rollout
  total: jax.Array
  parts: jax.Array
  advantages: jax.Array
  metrics: Metrics


Program = Callable[[TrainState, Asked, Any], tuple[TrainState, Record]]


def make_grpo_program(rollout: RolloutFn, judge: JudgeFn, step: StepFn) -> Program:
  """Builds (TrainState, Asked of n steps, judges) -> (TrainState, Records of n steps): pure.

  Every leaf of what is asked, and of the records, has a leading axis of n steps. Each step is what
  the loop of the host does with one update a rollout: the same keys give the same run.

  Args:
    rollout: as `make_rollout` gives it, of key data.
    judge: a pure function.
    step: as `make_grpo_step` gives it.
  """

  def program(state: TrainState, asked: Asked, judges: Any) -> tuple[TrainState, Record]:
    def one(state: TrainState, asked: Asked) -> tuple[TrainState, Record]:
      policy = model.adapted(state.params, state.frozen)
      answers = rollout(policy, asked.prompts, jax.random.wrap_key_data(asked.keys))
      total, parts, advantages = judge(answers, asked.targets, asked.step, judges)
      state, metrics = step(state, Batch(answers, total, advantages))
      return state, Record(answers, total, parts, advantages, metrics)

    return jax.lax.scan(one, state, asked)

  return program
