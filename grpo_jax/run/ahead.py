"""The programs of a stage, compiled for devices that are not here: what fits, and what is asked."""

import functools
from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp

from grpo_jax.advantages import make_advantages
from grpo_jax.config import GRPO, PPO, Architecture, ConfigError, Experiment
from grpo_jax.model import Network
from grpo_jax.optimizer import make_optimizer
from grpo_jax.parallel import check_divisible
from grpo_jax.parallel.ahead import Ahead, absent_devices, compile_ahead
from grpo_jax.run.keys import seeded
from grpo_jax.run.learn import stage_step
from grpo_jax.run.sampler import stage_rollout
from grpo_jax.run.stage import Setting
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout
from grpo_jax.weights.tokenizer import CharacterTokenizer

_Shape = jax.ShapeDtypeStruct


def compile_stage(
  experiment: Experiment,
  name: str,
  devices: Sequence[Any],
  architecture: Architecture,
  *,
  prompt_length: int = 128,
  programs: Sequence[str] = ("rollout", "update"),
) -> dict[str, Ahead]:
  """Compiles the rollout and the update of a stage of GRPO, as a run would, without weights.

  Args:
    experiment: laid out as experiment.parallel says.
    name: the stage.
    devices: all that the run has, as `parallel.ahead.topology` gives them.
    architecture: the model's, whatever weights the experiment names.
    prompt_length: S.
    programs: which of the two.

  Returns:
    "rollout" and "update".

  Raises:
    ConfigError: the stage is of another kind, or its sizes do not fit the devices.
  """
  stage = experiment.stages.get(name)
  if not isinstance(stage, GRPO) or isinstance(stage, PPO):
    raise ConfigError(f"config.stages.{name}: only stages of GRPO are compiled ahead")
  over = absent_devices(experiment.parallel, devices)
  size, what = stage.batch
  check_divisible(over, size, stage.optimizer.micro_batches, f"config.stages.{name}.{what}")
  network = over.network(Network.from_config(architecture, experiment.model))
  # Which tokens stop an answer is a constant of the program, and no task is asked.
  setting = Setting(experiment, 0, network, CharacterTokenizer(), cast(Any, None), over)
  params = network.abstract()

  def rollout() -> Ahead:
    prompts = abstract_prompts(stage.rollout.prompts, prompt_length)
    keys = _Shape((stage.rollout.prompts, 2), jnp.uint32)
    return compile_ahead(over, seeded(stage_rollout(setting, stage)), params, prompts, keys)

  def update() -> Ahead:
    optimizer = make_optimizer(stage.optimizer)
    state = jax.eval_shape(functools.partial(init_state, optimizer=optimizer), params)
    step, batch = stage_step(setting, stage, optimizer), abstract_batch(stage, prompt_length)
    return compile_ahead(over, step, state, batch, donate=(0,))

  makers = {"rollout": rollout, "update": update}
  return {program: makers[program]() for program in programs}


def abstract_prompts(P: int, S: int) -> Prompts:
  """Shapes and types of P prompts."""
  return Prompts(cast(Any, _Shape((P, S), jnp.int32)), cast(Any, _Shape((P, S), jnp.bool_)))


def abstract_batch(stage: GRPO, S: int) -> Batch:
  """Shapes and types of what one update of the stage learns from."""
  P, G, T = stage.batch[0], stage.rollout.group_size, stage.rollout.max_tokens
  answers, loss = (P, G, T), stage.loss

  def shape(size: tuple[int, ...], dtype: Any = jnp.float32) -> Any:
    return _Shape(size, dtype)

  kl = shape(answers) if loss.kl_coefficient > 0 else None
  early = kl is not None and loss.kl_place != "loss"
  old = stage.minibatches * stage.epochs > 1 or early or stage.strict
  compare = functools.partial(make_advantages, stage=stage)
  count = len(stage.rewards)
  advantages = jax.eval_shape(
    compare,
    shape((P, G)),
    shape((count, P, G)),
    shape((count,)),
    shape(answers, jnp.bool_),
    kl=kl if early else None,
  )
  rollout = Rollout(
    abstract_prompts(P, S),
    shape(answers, jnp.int32),
    shape(answers, jnp.bool_),
    shape(answers),
    shape((P, G), jnp.bool_),
  )
  return Batch(
    rollout,
    shape((P, G)),
    cast(Any, advantages),
    old_logprobs=shape(answers) if old else None,
    ref_logprobs=kl,
    kept=shape(answers, jnp.bool_) if loss.entropy_top < 1 else None,
  )
