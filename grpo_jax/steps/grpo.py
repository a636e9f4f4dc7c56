"""One update by group-relative policy optimisation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import losses, model
from grpo_jax import metrics as metrics_lib
from grpo_jax.config import LossConfig
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.metrics import Metrics
from grpo_jax.steps import update
from grpo_jax.types import Batch, Params, TrainState

StepFn = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def make_grpo_step(
  network: model.Network,
  loss: LossConfig,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  *,
  temperature: float = 1.0,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> StepFn:
  """Builds the pure function (TrainState, Batch) -> (TrainState, Metrics).

  A prompt whose answers all have advantage 0 has exactly zero gradient where no KL or entropy term
  is on. Such prompts are moved to the end of the batch and their micro-batches are not run; the
  denominators still count them, so the gradient is the same.

  Args:
    network: the model without its parameters.
    loss: the policy loss.
    optimizer, schedule: as in `steps.update.apply_gradients`.
    temperature: the one that the answers were sampled with.
    micro_batches: parts of the batch, a divisor of P; the gradient does not depend on it.
    axis_name: the device axis that the batch is split over, if any.
  """
  everywhere = loss.kl_coefficient > 0 or loss.entropy_coefficient != 0

  def part_loss(params: Params, part: Any) -> tuple[jax.Array, Metrics]:
    batch, weights = part
    logprobs, entropy = answer_logprobs(network, params, batch.rollout, temperature=temperature)
    # One update a rollout: the policy is the old policy, and the ratio is exactly 1.
    old = jax.lax.stop_gradient(logprobs) if batch.old_logprobs is None else batch.old_logprobs
    return losses.policy_loss(
      logprobs,
      old,
      batch.advantages,
      batch.rollout.mask,
      loss,
      ref_logprobs=batch.ref_logprobs,
      sampler_logprobs=batch.rollout.logprobs,
      entropy=entropy,
      finished=batch.rollout.finished,
      weights=weights,
    )

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    mask = losses.loss_mask(batch.rollout.mask, batch.rollout.finished, loss)
    weights = losses.token_weights(mask, loss.aggregation, axis_name=axis_name)
    useful = jnp.any(mask.any(-1) & ((batch.advantages != 0) | everywhere), axis=-1)
    order = jnp.argsort(~useful, stable=True)
    parts = jax.tree.map(lambda leaf: leaf[order], (batch, weights))
    size = useful.shape[0] // micro_batches
    count = (jnp.sum(useful) + size - 1) // size
    gradients, value, metrics = update.summed_gradients(
      part_loss, state.params, update.split(parts, micro_batches), count
    )
    gradients, value, useful_prompts = update.over_devices(
      (gradients, value, jnp.sum(useful)), axis_name
    )
    state, update_metrics = update.apply_gradients(
      state, gradients, optimizer, schedule, useful_prompts > 0
    )
    metrics = metrics_lib.over_devices(metrics, axis_name)
    return state, metrics | update_metrics | {"loss/policy": metrics_lib.single(value)}

  return step
