"""Randomness of a run: a function of (seed, stage, step, prompt), so nothing has to be saved."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.rollout import RolloutFn
from grpo_jax.types import Params, Prompts, Rollout

# More than any turn has tokens.
_TURNS = 2**20


def prompt_keys(seed: int, stage: int, step: int, prompts: int) -> np.ndarray:
  """Key data u32[P,2]: one key a prompt of the step, whatever devices there are.

  Plain numbers, because typed keys do not cross into pmap.
  """
  key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), stage), step)
  keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(prompts))
  return np.asarray(jax.random.key_data(keys))


def turn_keys(keys: np.ndarray, group_size: int, turn: int) -> np.ndarray:
  """Key data u32[P,2] of prompts -> u32[P G,2] of their answers' later turn.

  Of answer g at turn k it is fold_in(fold_in(key, g), 2^20 + k), beside the keys fold_in(.., t) of
  the tokens of its first turn: no episode's numbers depend on which others still go on.
  """

  def one(data: jax.Array) -> jax.Array:
    key = jax.random.wrap_key_data(data)
    own = jax.vmap(lambda g: jax.random.fold_in(key, g))(jnp.arange(group_size))
    return jax.vmap(lambda key: jax.random.fold_in(key, _TURNS + turn))(own)

  return np.asarray(jax.random.key_data(jax.vmap(one)(jnp.asarray(keys)))).reshape(-1, 2)


def seeded(rollout: RolloutFn) -> Callable[[Params, Prompts, jax.Array], Rollout]:
  """The rollout as a function of key data u32[P,2]."""

  def from_data(params: Params, prompts: Prompts, data: jax.Array) -> Rollout:
    return rollout(params, prompts, jax.random.wrap_key_data(data))

  return from_data
