"""One update by the likelihood of given tokens, whatever batch they come in."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import metrics as metrics_lib
from grpo_jax import model
from grpo_jax.losses import token_weights
from grpo_jax.metrics import Mean, Metrics
from grpo_jax.steps import update
from grpo_jax.types import Params, TrainState

# (parameters, batch) -> log-probs f32[P,G,T] of the batch's tokens
LogprobsFn = Callable[[Params, Any], jax.Array]
# batch -> bool[P,G,T], those of them that are learned
MaskFn = Callable[[Any], jax.Array]


def make_likelihood_step(
  logprobs_fn: LogprobsFn,
  mask_fn: MaskFn,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  *,
  name: str,
  network: model.Network,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> Callable[[TrainState, Any], tuple[TrainState, Metrics]]:
  """Builds the pure function (TrainState, batch) -> (TrainState, Metrics).

  The loss is the mean of -log pi over all learned tokens of the batch, whatever parts and devices
  it is split over.

  Args:
    logprobs_fn, mask_fn: what a batch, or a part of it, says of its tokens.
    optimizer, schedule: as in `steps.update.apply_gradients`.
    name: of the loss among the metrics.
    network: the model without its parameters.
    micro_batches: parts of the batch, a divisor of P.
    axis_name: the device axis that the batch is split over, if any.
  """

  def part_loss(frozen: Any, params: Params, part: Any) -> tuple[jax.Array, Metrics]:
    batch, weights = part
    logprobs, mask = logprobs_fn(model.adapted(params, frozen), batch), mask_fn(batch)
    loss = -jnp.sum(jnp.where(mask, logprobs, 0) * weights)
    return loss, {name: Mean.of(-logprobs, mask)}

  def step(state: TrainState, batch: Any) -> tuple[TrainState, Metrics]:
    weights = token_weights(mask_fn(batch), "token_mean", axis_name=axis_name)
    parts = update.split((batch, weights), micro_batches, network.place)
    scale = update.loss_scale(network.dtype, weights.size)
    gradients, value, metrics = update.summed_gradients(
      functools.partial(part_loss, state.frozen), state.params, parts, micro_batches, scale=scale
    )
    gradients, value = update.over_devices((gradients, value), axis_name)
    state, update_metrics = update.apply_gradients(state, gradients, optimizer, schedule, value)
    return state, metrics_lib.over_devices(metrics, axis_name) | update_metrics

  return step
