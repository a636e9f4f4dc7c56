"""One update by supervised fine-tuning: the log-likelihood of given answers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from grpo_jax import metrics as metrics_lib
from grpo_jax import model
from grpo_jax.logprobs import token_logprobs
from grpo_jax.losses import token_weights
from grpo_jax.metrics import Mean, Metrics
from grpo_jax.steps import update
from grpo_jax.types import Params, Prompts, TrainState

# prompts, tokens i32[P,1,T] of one answer each, and their mask bool[P,1,T]
Demonstrations = tuple[Prompts, jax.Array, jax.Array]


def make_sft_step(
  network: model.Network,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  *,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> Callable[[TrainState, Demonstrations], tuple[TrainState, Metrics]]:
  """Builds the pure function (TrainState, Demonstrations) -> (TrainState, Metrics).

  The loss is the mean of -log pi over the answers' tokens, the stop token included; prompts carry
  none. Arguments as in `make_grpo_step`.
  """

  def part_loss(params: Params, part: tuple) -> tuple[jax.Array, Metrics]:
    (prompts, tokens, mask), weights = part
    hidden = network.answers(params, prompts, tokens)
    logprobs, _ = token_logprobs(hidden, network.head(params), tokens, chunk=network.logprob_chunk)
    loss = -jnp.sum(jnp.where(mask, logprobs, 0) * weights)
    return loss, {"loss/sft": Mean.of(-logprobs, mask)}

  def step(state: TrainState, batch: Demonstrations) -> tuple[TrainState, Metrics]:
    weights = token_weights(batch[2], "token_mean", axis_name=axis_name)
    parts = update.split((batch, weights), micro_batches)
    scale = update.loss_scale(network.dtype, batch[2].size)
    gradients, _, metrics = update.summed_gradients(
      part_loss, state.params, parts, micro_batches, scale=scale
    )
    gradients = update.over_devices(gradients, axis_name)
    state, update_metrics = update.apply_gradients(state, gradients, optimizer, schedule)
    return state, metrics_lib.over_devices(metrics, axis_name) | update_metrics

  return step
