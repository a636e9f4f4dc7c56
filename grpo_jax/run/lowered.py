"""The programs of a stage as a run compiles them, and what they are given, from shapes alone."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from grpo_jax.config import GRPO, PPO, SFT, Pretrain, RewardModel, Stage
from grpo_jax.optimizer import make_optimizer
from grpo_jax.run import shapes
from grpo_jax.run.evaluate import greedy_rollout
from grpo_jax.run.keys import seeded
from grpo_jax.run.learn import stage_look, stage_step
from grpo_jax.run.ppo import ppo_step
from grpo_jax.run.reward_model import reward_model_step
from grpo_jax.run.sampler import stage_rollout
from grpo_jax.run.sft import sft_step
from grpo_jax.run.stage import Setting
from grpo_jax.run.texts import text_step
from grpo_jax.run.trained import make_init
from grpo_jax.types import Params, Prompts


@dataclasses.dataclass(frozen=True)
class Program:
  """A function that `Devices.compile` takes, and shapes of its arguments.

  whole: of the first, parameters or a state. parts: of the others, which are split by rows.
  donate: arguments whose memory it may reuse.
  """

  function: Callable
  whole: Any
  parts: tuple[Any, ...]
  donate: tuple[int, ...] = ()


def stage_programs(setting: Setting, stage: Stage, S: int) -> dict[str, Callable[[], Program]]:
  """Makers of "update", "evaluation" (greedy), and where it samples "rollout" and "look".

  Of an episode the evaluation's turn is the last, and "turn" is a rollout's last, of all episodes.

  Args:
    setting: needs a network, devices and the stage's place, but no task and no weights.
    stage: of any kind.
    S: tokens of the prompts.
  """
  params = setting.network.abstract()
  found = {
    "evaluation": lambda: _evaluation(setting, params, S),
    "update": lambda: _update(setting, stage, params, S),
  }
  if isinstance(stage, GRPO):
    sizes = stage.rollout
    P, rows = sizes.prompts, sizes.prompts * sizes.group_size
    answers = seeded(stage_rollout(setting, stage))
    found["rollout"] = lambda: Program(answers, params, _asked(P, S))
    if sizes.turns > 1:
      turn = seeded(stage_rollout(setting, stage, 1))
      found["turn"] = lambda: Program(turn, params, _asked(rows, sizes.last_prompt(S)))
    if stage.needs_look:
      looked = (shapes.rollout(stage, P, S),)
      found["look"] = lambda: Program(stage_look(setting, stage), params, looked)
  return found


def _evaluation(setting: Setting, params: Params, S: int) -> Program:
  held_out = setting.experiment.evaluation
  P = min(held_out.batch_size, held_out.problems)
  P = -(-P // setting.devices.count) * setting.devices.count
  greedy = seeded(greedy_rollout(setting))
  return Program(greedy, params, _asked(P, held_out.last_prompt(S)))


def _asked(P: int, S: int) -> tuple[Prompts, jax.Array]:
  """What a rollout is given of its prompts."""
  return shapes.prompts(P, S), shapes.shape((P, 2), jnp.uint32)


def _update(setting: Setting, stage: Stage, params: Params, S: int) -> Program:
  step, init = stage_update(setting, stage)
  return Program(step, jax.eval_shape(init, params), (shapes.batch(stage, S),), donate=(0,))


def stage_update(setting: Setting, stage: Stage) -> tuple[Callable, Callable]:
  """The update, and policy -> the state before the first."""
  if isinstance(stage, PPO):
    return ppo_step(setting, stage)
  if isinstance(stage, RewardModel):
    return reward_model_step(setting, stage)
  optimizer = make_optimizer(stage.optimizer)
  init = make_init(setting, stage, optimizer)
  if isinstance(stage, GRPO):
    return stage_step(setting, stage), init
  if isinstance(stage, SFT):
    return sft_step(setting, stage), init
  assert isinstance(stage, Pretrain), stage
  return text_step(setting, stage), init
