"""The frozen pytrees that flow through a step.

Letters, here and in every docstring: P prompts, G answers to a prompt (the group), S prompt
length, T answer length, V vocabulary, D width, L layers, N query heads, K key/value heads,
H head size, F feed-forward width. The group is an axis, never a convention about row order.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

Params = dict[str, Any]


@flax.struct.dataclass
class Prompts:
  """Prompts of unequal length, padded on the left so that all end in the last column.

  tokens: i32[P,S]; what stands in the padding does not matter.
  mask: bool[P,S], true on the prompt's own tokens; each row has at least one.
  """

  tokens: jax.Array
  mask: jax.Array

  def repeated(self, times: int) -> "Prompts":
    """Each prompt so many times in a row, once for each part of its group."""
    return jax.tree.map(lambda leaf: jnp.repeat(leaf, times, axis=0), self)


@flax.struct.dataclass
class Rollout:
  """G sampled answers to each of P prompts.

  An episode of several turns is one answer: the model's tokens, and between its turns, masked out,
  the observations that it has read. Only then does the mask have holes.

  tokens: i32[P,G,T]; what stands after the last stop token does not matter.
  mask: bool[P,G,T], true on what the model wrote, up to and including the stop token.
  logprobs: f32[P,G,T], of the sampled tokens under the distribution they were drawn from.
  finished: bool[P,G], false where the length budget cut the answer, or the last turn.
  """

  prompts: Prompts
  tokens: jax.Array
  mask: jax.Array
  logprobs: jax.Array
  finished: jax.Array


@flax.struct.dataclass
class Batch:
  """What one optimiser batch learns from.

  rewards: f32[P,G], NaN where an answer could not be scored.
  advantages: f32[P,G], or f32[P,G,T] where they differ from token to token.
  old_logprobs: f32[P,G,T] of the policy at the start of the update, or None where the step's own
    are exact (one update a rollout).
  ref_logprobs: f32[P,G,T] of the reference policy, or None without a KL term.
  kept: bool[P,G,T], the tokens whose objective counts, or None for all.
  old_values, returns: f32[P,G,T], of a critic at the start of the update and what it should have
    said, or None without one.
  """

  rollout: Rollout
  rewards: jax.Array
  advantages: jax.Array
  old_logprobs: jax.Array | None = None
  ref_logprobs: jax.Array | None = None
  kept: jax.Array | None = None
  old_values: jax.Array | None = None
  returns: jax.Array | None = None


@flax.struct.dataclass
class TrainState:
  """All that an update changes, and what it reads beside.

  step: i32[], updates applied so far. params: what is trained. frozen: what low-rank adapters are
  added to, as `model.lora.frozen_base` has it; None where all weights are trained.
  """

  step: jax.Array
  params: Params
  opt_state: Any
  frozen: Any = None
