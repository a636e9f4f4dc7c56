"""Rewards in JAX: functions of arrays, which can be compiled into one program with the update."""

import dataclasses
from collections.abc import Callable

import chex
import flax.struct
import jax
import jax.numpy as jnp

from grpo_jax.types import Rollout


@flax.struct.dataclass
class Solutions:
  """The task's own solutions, stop token included: tokens i32[P,T] and mask bool[P,T]."""

  tokens: jax.Array
  mask: jax.Array


@dataclasses.dataclass(frozen=True)
class ArrayReward:
  """Marks a pure function (Rollout, Solutions) -> f32[P,G], NaN where an answer has no score.

  To be used as a decorator, in a file of one's own too.
  """

  function: Callable[[Rollout, Solutions], jax.Array]

  def __call__(self, rollout: Rollout, solutions: Solutions) -> jax.Array:
    """f32[P,G].

    Raises:
      ValueError: the function gives another shape.
    """
    scores = jnp.asarray(self.function(rollout, solutions), jnp.float32)
    if scores.shape != rollout.finished.shape:
      raise ValueError(
        f"reward {getattr(self.function, '__name__', self.function)!s} gave scores of shape"
        f" {scores.shape}: expected one an answer, {rollout.finished.shape}"
      )
    return scores


@ArrayReward
def solution(rollout: Rollout, solutions: Solutions) -> jax.Array:
  """1 where the answer is the solution, token by token to the stop token, else 0."""
  chex.assert_equal_shape([rollout.tokens[:, 0], solutions.tokens])
  tokens, mask = solutions.tokens[:, None], solutions.mask[:, None]
  same = jnp.where(mask, rollout.tokens == tokens, True) & (rollout.mask == mask)
  return jnp.all(same, axis=-1).astype(jnp.float32)
