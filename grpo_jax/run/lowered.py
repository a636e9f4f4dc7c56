"""The programs of a stage as a run compiles them, from shapes alone: no weights, no data."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp

from grpo_jax.advantages import make_advantages
from grpo_jax.config import GRPO, PPO, SFT, Architecture, Experiment, Pretrain, RewardModel, Stage
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer, make_schedule
from grpo_jax.packing import Packed
from grpo_jax.parallel import Devices
from grpo_jax.plan.compiled import Compiled, from_analysis
from grpo_jax.rollout import make_rollout
from grpo_jax.run.keys import seeded
from grpo_jax.run.learn import stage_step
from grpo_jax.run.ppo import ppo_step
from grpo_jax.run.sampler import stage_rollout
from grpo_jax.run.stage import Setting
from grpo_jax.steps import make_sft_step, make_text_step
from grpo_jax.steps.reward_model import init_params, make_reward_model_step
from grpo_jax.steps.update import init_state, split
from grpo_jax.types import Batch, Prompts, Rollout
from grpo_jax.weights.tokenizer import CharacterTokenizer

# function, shapes and types of its arguments, and those whose memory it may reuse
_Lowering = tuple[Callable, tuple, tuple[int, ...]]


def compile_stage(
  experiment: Experiment, name: str, architecture: Architecture, prompt_length: int
) -> dict[str, Compiled]:
  """What each program of a stage needs on one local device: "rollout", "look" and "update".

  "evaluation" is the greedy rollout of experiment.evaluation.
  """
  lowerings = _programs(experiment, name, architecture, prompt_length)
  return {
    program: from_analysis(
      jax.jit(function, donate_argnums=donate).lower(*arguments).compile().memory_analysis()
    )
    for program, (function, arguments, donate) in lowerings
  }


def _programs(
  experiment: Experiment, name: str, architecture: Architecture, S: int
) -> Iterator[tuple[str, _Lowering]]:
  network = Network.from_config(architecture, experiment.model)
  stage, index = experiment.stages[name], list(experiment.stages).index(name)
  # Which tokens end an answer is a constant of the program; the task is not asked.
  setting = Setting(
    experiment, index, network, CharacterTokenizer(), cast(Any, None), Devices(1, None)
  )
  params = network.abstract()
  yield "evaluation", _evaluation(experiment, network, params, S)
  if isinstance(stage, GRPO):
    P = stage.rollout.prompts
    keys = _shape((P, 2), jnp.uint32)
    yield "rollout", (seeded(stage_rollout(setting, stage)), (params, _prompts(P, S), keys), ())
    if _looks(stage):
      yield "look", _look(network, stage, params, S)
  state, step = _update(setting, stage, params)
  yield "update", (step, (state, _batch(stage, S)), (0,))


def _evaluation(experiment: Experiment, network: Network, params: Any, S: int) -> _Lowering:
  held_out = experiment.evaluation
  P = min(held_out.batch_size, held_out.problems)
  greedy = make_rollout(
    network, group_size=1, max_tokens=held_out.max_tokens, stop_ids=(1,), temperature=0.0
  )
  return seeded(greedy), (params, _prompts(P, S), _shape((P, 2), jnp.uint32)), ()


def _looks(stage: GRPO) -> bool:
  """Whether a forward pass is taken before the updates."""
  loss, updates = stage.loss, stage.minibatches * stage.epochs
  return updates > 1 or loss.kl_coefficient > 0 or stage.strict or loss.entropy_top < 1


def _look(network: Network, stage: GRPO, params: Any, S: int) -> _Lowering:
  parts = stage.minibatches * stage.optimizer.micro_batches
  one = functools.partial(answer_logprobs, temperature=stage.rollout.temperature)

  def look(params: Any, rollout: Rollout) -> Any:
    return jax.lax.map(lambda part: one(network, params, part), split(rollout, parts))

  return look, (params, _rollout(stage, stage.rollout.prompts, S)), ()


def _update(setting: Setting, stage: Stage, params: Any) -> tuple[Any, Callable]:
  """Shapes of the state, and the step."""
  if isinstance(stage, PPO):
    step, init = ppo_step(setting, stage)
    return jax.eval_shape(init, params), step
  network, optimizer = setting.network, make_optimizer(stage.optimizer)
  state = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), params)
  if isinstance(stage, GRPO):
    return state, stage_step(setting, stage, optimizer)
  schedule, parts = make_schedule(stage.optimizer, stage.steps), stage.optimizer.micro_batches
  if isinstance(stage, RewardModel):
    judge = jax.eval_shape(functools.partial(init_params, network), params)
    state = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), judge)
    return state, make_reward_model_step(
      network,
      optimizer,
      schedule,
      margin=stage.margin,
      centering=stage.centering,
      micro_batches=parts,
    )
  make = make_sft_step if isinstance(stage, SFT) else make_text_step
  return state, make(network, optimizer, schedule, micro_batches=parts)  # type: ignore[operator]


def _batch(stage: Stage, S: int) -> Any:
  """Shapes and types of what an update learns from."""
  if isinstance(stage, GRPO):
    return _policy_batch(stage, S)
  if isinstance(stage, Pretrain):
    rows = (stage.batch_size, stage.length)
    return Packed(_shape(rows, jnp.int32), _shape(rows, jnp.int32), _shape(rows, jnp.bool_))
  assert isinstance(stage, (RewardModel, SFT)), stage
  answers = (stage.batch_size, 2 if isinstance(stage, RewardModel) else 1, stage.max_tokens)
  prompts = _prompts(stage.batch_size, S)
  return prompts, _shape(answers, jnp.int32), _shape(answers, jnp.bool_)


def _policy_batch(stage: GRPO, S: int) -> Batch:
  P, loss = stage.rollout.prompts // stage.minibatches, stage.loss
  answers = (P, stage.rollout.group_size, stage.rollout.max_tokens)
  each, mask, critic = _shape(answers), _shape(answers, jnp.bool_), isinstance(stage, PPO)
  reference = loss.kl_coefficient > 0
  early = reference and loss.kl_place != "loss"
  advantages = each
  if not critic:
    advantages = jax.eval_shape(
      functools.partial(make_advantages, stage=stage),
      _shape(answers[:2]),
      _shape((len(stage.rewards), *answers[:2])),
      _shape((len(stage.rewards),)),
      mask,
      kl=each if early else None,
    )
  return Batch(
    _rollout(stage, P, S),
    _shape(answers[:2]),
    cast(Any, advantages),
    old_logprobs=each if stage.minibatches * stage.epochs > 1 or early or stage.strict else None,
    ref_logprobs=each if reference else None,
    kept=mask if loss.entropy_top < 1 else None,
    old_values=each if critic else None,
    returns=each if critic else None,
  )


def _rollout(stage: GRPO, P: int, S: int) -> Rollout:
  answers = (P, stage.rollout.group_size, stage.rollout.max_tokens)
  return Rollout(
    _prompts(P, S),
    _shape(answers, jnp.int32),
    _shape(answers, jnp.bool_),
    _shape(answers),
    _shape(answers[:2], jnp.bool_),
  )


def _prompts(P: int, S: int) -> Prompts:
  return Prompts(_shape((P, S), jnp.int32), _shape((P, S), jnp.bool_))


def _shape(size: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
  return jax.ShapeDtypeStruct(size, dtype)
