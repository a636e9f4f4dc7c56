"""What a stage trains of a policy: all of its weights, or adapters beside them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import model
from grpo_jax.config import Stage
from grpo_jax.run.stage import Setting
from grpo_jax.steps.update import init_state
from grpo_jax.types import Params, TrainState

# Apart from the keys of prompts, which are folded with a stage's index too.
_SALT = 0x10A


def make_init(
  setting: Setting, stage: Stage, optimizer: optax.GradientTransformation
) -> Callable[[Params], TrainState]:
  """Builds policy -> the state before the stage's first update."""
  lora = stage.lora
  if not lora.rank:
    return lambda params: init_state(params, optimizer)

  def init(params: Params) -> TrainState:
    key = jax.random.fold_in(jax.random.key(setting.experiment.seed), _SALT + setting.index)
    adapters = model.init_adapters(key, params, lora.rank, lora.targets)
    frozen = model.frozen_base(params, lora.scale)
    return TrainState(jnp.int32(0), adapters, optimizer.init(adapters), frozen)

  return init


def merged_policy(params: Params) -> Params:
  """The policy without adapters: what goes on after the stage, and what is exported."""
  return jax.jit(model.merged)(params)


def reference_in(state: TrainState) -> Any:
  """The policy that adapters were added to: a reference that costs no second model."""
  return None if state.frozen is None else state.frozen["base"]
