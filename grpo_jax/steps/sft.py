"""One update by supervised fine-tuning: the log-likelihood of given answers."""

from collections.abc import Callable

import jax
import optax

from grpo_jax import model
from grpo_jax.logprobs import head_logprobs
from grpo_jax.metrics import Metrics
from grpo_jax.steps.likelihood import make_likelihood_step
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

  def logprobs(params: Params, batch: Demonstrations) -> jax.Array:
    prompts, tokens, _ = batch
    hidden = network.answers(params, prompts, tokens)
    return head_logprobs(network, params, hidden, tokens)[0]

  return make_likelihood_step(
    logprobs,
    lambda batch: batch[2],
    optimizer,
    schedule,
    name="loss/sft",
    network=network,
    micro_batches=micro_batches,
    axis_name=axis_name,
  )
