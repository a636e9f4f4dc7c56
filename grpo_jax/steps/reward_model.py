"""Scores of whole answers, and one update by preferences."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from grpo_jax import metrics as metrics_lib
from grpo_jax import model
from grpo_jax.losses import bradley_terry
from grpo_jax.metrics import Mean, Metrics
from grpo_jax.model.heads import init_scalar_head, scalar_values
from grpo_jax.steps import update
from grpo_jax.types import Params, Prompts, TrainState

# prompts, tokens i32[P,2,T] of the chosen and the rejected answer, and their mask bool[P,2,T]
Pairs = tuple[Prompts, jax.Array, jax.Array]
# (parameters, prompts, tokens i32[P,G,T], mask bool[P,G,T]) -> f32[P,G]
ScoreFn = Callable[[Params, Prompts, jax.Array, jax.Array], jax.Array]


def init_params(network: model.Network, policy: Params) -> Params:
  """A reward model that begins as the policy, with a head that says 0."""
  head = init_scalar_head(network.architecture.hidden_size)
  return {"decoder": jax.tree.map(jnp.array, policy), "head": head}


def make_score(network: model.Network) -> ScoreFn:
  """Builds the score of an answer: the head at the hidden state after its last token.

  That is the stop token, or where the answer was cut. The G answers share their prompt.
  """

  def score(params: Params, prompts: Prompts, tokens: jax.Array, mask: jax.Array) -> jax.Array:
    # One column more: the state that would predict the token after the last.
    longer = jnp.pad(tokens, ((0, 0), (0, 0), (0, 1)))
    hidden = network.answers(params["decoder"], prompts, longer)
    last = jnp.sum(mask, axis=-1)[..., None, None]
    return scalar_values(jnp.take_along_axis(hidden, last, axis=2)[:, :, 0], params["head"])

  return score


def make_reward_model_step(
  network: model.Network,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  *,
  margin: float = 0.0,
  centering: float = 0.0,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> Callable[[TrainState, Pairs], tuple[TrainState, Metrics]]:
  """Builds the pure function (TrainState, Pairs) -> (TrainState, Metrics).

  The loss is the mean of `losses.bradley_terry` over the pairs of the whole batch. Arguments as in
  `make_grpo_step`.
  """
  score = make_score(network)

  def part_loss(params: Params, part: tuple) -> tuple[jax.Array, Metrics]:
    (prompts, tokens, mask), weights = part
    chosen, rejected = jnp.moveaxis(score(params, prompts, tokens, mask), 1, 0)
    losses = bradley_terry(chosen, rejected, margin=margin, centering=centering)
    every = jnp.ones_like(losses, bool)
    metrics: Metrics = {
      "loss/reward_model": Mean.of(losses, every),
      "reward_model/accuracy": Mean.of((chosen > rejected).astype(jnp.float32), every),
      "reward_model/margin": Mean.of(chosen - rejected, every),
    }
    return jnp.sum(losses * weights), metrics

  def step(state: TrainState, pairs: Pairs) -> tuple[TrainState, Metrics]:
    count = update.over_devices(jnp.float32(pairs[1].shape[0]), axis_name)
    weights = jnp.full(pairs[1].shape[0], 1 / count)
    parts = update.split((pairs, weights), micro_batches, network.place)
    scale = update.loss_scale(network.dtype, pairs[1].shape[0])
    gradients, value, metrics = update.summed_gradients(
      part_loss, state.params, parts, micro_batches, scale=scale
    )
    gradients, value = update.over_devices((gradients, value), axis_name)
    state, update_metrics = update.apply_gradients(state, gradients, optimizer, schedule, value)
    return state, metrics_lib.over_devices(metrics, axis_name) | update_metrics

  return step
