"""One update by the log-likelihood of packed texts, and the loss of held-out ones."""

from collections.abc import Callable

import jax
import optax

from grpo_jax import metrics as metrics_lib
from grpo_jax import model
from grpo_jax.logprobs import head_logprobs
from grpo_jax.metrics import Mean, Metrics
from grpo_jax.packing import Packed
from grpo_jax.steps.likelihood import make_likelihood_step
from grpo_jax.types import Params, TrainState


def text_logprobs(network: model.Network, params: Params, packed: Packed) -> jax.Array:
  """f32[B,1,S-1], log p of each token but a row's first, given its own document before it."""
  hidden = network.sequence(params, packed.tokens, packed.segments)[:, :-1]
  return head_logprobs(network, params, hidden, packed.tokens[:, 1:])[0][:, None]


def text_mask(packed: Packed) -> jax.Array:
  """bool[B,1,S-1], the tokens of `text_logprobs` that are learned."""
  return packed.mask[:, None, 1:]


def make_text_step(
  network: model.Network,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  *,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> Callable[[TrainState, Packed], tuple[TrainState, Metrics]]:
  """Builds the pure function (TrainState, Packed) -> (TrainState, Metrics).

  The loss is the mean of -log pi over the tokens of the rows' masks. Arguments as in
  `make_grpo_step`.
  """
  return make_likelihood_step(
    lambda params, packed: text_logprobs(network, params, packed),
    text_mask,
    optimizer,
    schedule,
    name="loss/text",
    network=network,
    micro_batches=micro_batches,
    axis_name=axis_name,
  )


def make_text_loss(
  network: model.Network, *, axis_name: str | None = None
) -> Callable[[Params, Packed], Metrics]:
  """Builds the pure function (parameters, Packed) -> {"eval/loss": nats a token of the masks}."""

  def loss(params: Params, packed: Packed) -> Metrics:
    mean = Mean.of(-text_logprobs(network, params, packed), text_mask(packed))
    return metrics_lib.over_devices({"eval/loss": mean}, axis_name)

  return loss
