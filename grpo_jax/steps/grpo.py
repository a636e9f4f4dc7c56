"""One update by group-relative policy optimisation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import losses, model
from grpo_jax import metrics as metrics_lib
from grpo_jax.config import LossConfig, is_on
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
  length_budget: int | None = None,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> StepFn:
  """Builds the pure function (TrainState, Batch) -> (TrainState, Metrics).

  An answer whose reward is NaN could not be scored: it has no part in any term or denominator.

  A prompt whose answers all have advantage 0 has exactly zero gradient where no KL or entropy term
  is on. Such prompts are moved to the end of the batch and their micro-batches are not run; the
  denominators still count them, so the gradient is the same.

  Args:
    network: the model without its parameters.
    loss: the policy loss.
    optimizer, schedule: as in `steps.update.apply_gradients`.
    temperature: the one that the answers were sampled with.
    length_budget: L_max of the "constant" aggregation; the batch's T by default.
    micro_batches: parts of the batch, a divisor of P; the gradient does not depend on it.
    axis_name: the device axis that the batch is split over, if any.
  """
  kl_in_loss = is_on(loss.kl_coefficient) and loss.kl_place == "loss"
  everywhere = kl_in_loss or is_on(loss.entropy_coefficient)

  def part_loss(frozen: Any, params: Params, part: Any) -> tuple[jax.Array, Metrics]:
    batch, weights = part
    policy = model.adapted(params, frozen)
    logprobs, entropy = answer_logprobs(network, policy, batch.rollout, temperature=temperature)
    return batch_policy_loss(batch, logprobs, entropy, weights, loss)

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    scored = ~jnp.isnan(batch.rewards)[..., None]
    mask = losses.loss_mask(batch.rollout.mask & scored, batch.rollout.finished, loss)
    weights = losses.token_weights(
      mask, loss.aggregation, length_budget=length_budget, axis_name=axis_name
    )
    moved = batch.advantages.reshape(*mask.shape[:2], -1) != 0
    useful = jnp.any(mask.any(-1) & (moved.any(-1) | everywhere), axis=-1)
    # Metrics are of the useful prompts, also where others share a micro-batch with them.
    seen = batch.rollout.mask & scored & useful[:, None, None]
    batch = batch.replace(rollout=batch.rollout.replace(mask=seen))  # type: ignore[attr-defined]
    order = jnp.argsort(~useful, stable=True)
    parts = jax.tree.map(lambda leaf: leaf[order], (batch, weights))
    size = useful.shape[0] // micro_batches
    count = (jnp.sum(useful) + size - 1) // size
    gradients, value, metrics = update.summed_gradients(
      functools.partial(part_loss, state.frozen),
      state.params,
      update.split(parts, micro_batches, network.place),
      count,
      scale=update.loss_scale(network.dtype, mask.size),
    )
    gradients, value, useful_prompts = update.over_devices(
      (gradients, value, jnp.sum(useful)), axis_name
    )
    state, update_metrics = update.apply_gradients(
      state, gradients, optimizer, schedule, value, useful_prompts > 0
    )
    metrics = metrics_lib.over_devices(metrics, axis_name)
    return state, metrics | update_metrics | {"loss/policy": metrics_lib.single(value)}

  return step


def batch_policy_loss(
  batch: Batch, logprobs: jax.Array, entropy: jax.Array, weights: jax.Array, loss: LossConfig
) -> tuple[jax.Array, Metrics]:
  """`losses.policy_loss` of a batch: its part of the sum by `weights` f32[P,G,T]."""
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
    kept=batch.kept,
    weights=weights,
  )
