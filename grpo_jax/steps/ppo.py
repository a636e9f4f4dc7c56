"""One update by proximal policy optimisation with a critic."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import losses, model
from grpo_jax import metrics as metrics_lib
from grpo_jax.config import LossConfig
from grpo_jax.logprobs import head_logprobs
from grpo_jax.metrics import Explained, Mean, Metrics
from grpo_jax.model.heads import init_scalar_head, scalar_values
from grpo_jax.steps import update
from grpo_jax.steps.grpo import StepFn, batch_policy_loss
from grpo_jax.types import Batch, Params, Rollout, TrainState

# Of the policy, and of a separate critic: an optimiser and its learning rates.
Optimizers = dict[str, tuple[optax.GradientTransformation, optax.Schedule]]


def init_ppo_params(network: model.Network, policy: Params, *, shared: bool) -> Params:
  """The policy with a head on it, or with a critic of its own that begins as the policy."""
  head = init_scalar_head(network.architecture.hidden_size)
  if shared:
    return {"policy": policy, "head": head}
  return {"policy": policy, "critic": {"decoder": jax.tree.map(jnp.array, policy), "head": head}}


def init_ppo_state(params: Params, optimizers: Optimizers) -> TrainState:
  """The state before the first update of a stage: each optimiser's over its part of `params`."""
  opt_state = {name: optimizers[name][0].init(part) for name, part in _parts(params).items()}
  return TrainState(jnp.int32(0), params, opt_state)


def answer_values(network: model.Network, params: Params, rollout: Rollout) -> jax.Array:
  """V of every answer token: what the critic says before it is sampled; f32[P,G,T]."""
  critic = params.get("critic", {"decoder": params["policy"], "head": params.get("head")})
  hidden = network.answers(critic["decoder"], rollout.prompts, rollout.tokens)
  return scalar_values(hidden, critic["head"])


def make_ppo_step(
  network: model.Network,
  loss: LossConfig,
  optimizers: Optimizers,
  *,
  value_coefficient: float,
  value_clip: float,
  critic_warmup: int = 0,
  temperature: float = 1.0,
  length_budget: int | None = None,
  micro_batches: int = 1,
  axis_name: str | None = None,
) -> StepFn:
  """Builds the pure function (TrainState, Batch) -> (TrainState, Metrics).

  The loss is the policy's, as in `make_grpo_step`, plus value_coefficient times the mean of
  `losses.value_loss` over the answers' tokens. An answer whose reward is NaN has no part in either.

  Args:
    network: the model without its parameters.
    loss: the policy loss.
    optimizers: "policy", and "critic" where that is separate.
    value_coefficient, value_clip: of the value loss.
    critic_warmup: updates in which the policy does not move.
    temperature, length_budget, micro_batches, axis_name: as in `make_grpo_step`.
  """

  def part_loss(params: Params, part: Any) -> tuple[jax.Array, Metrics]:
    batch, weights, value_weights = part
    rollout, mask = batch.rollout, batch.rollout.mask
    hidden = network.answers(params["policy"], rollout.prompts, rollout.tokens)
    logprobs, entropy = head_logprobs(
      network, params["policy"], hidden, rollout.tokens, temperature=temperature
    )
    policy_loss, metrics = batch_policy_loss(batch, logprobs, entropy, weights, loss)
    if "head" in params:
      values = scalar_values(hidden, params["head"])
    else:
      values = answer_values(network, params, rollout)
    safe = [jnp.where(mask, leaf, 0) for leaf in (values, batch.old_values, batch.returns)]
    each = losses.value_loss(*safe, clip=value_clip)
    metrics |= {
      "value/loss": Mean.of(each, mask),
      "value/mean": Mean.of(safe[0], mask),
      "value/explained_variance": Explained.of(safe[0], safe[2], mask),
    }
    return policy_loss + value_coefficient * jnp.sum(each * value_weights), metrics

  def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    mask = batch.rollout.mask & ~jnp.isnan(batch.rewards)[..., None]
    batch = batch.replace(rollout=batch.rollout.replace(mask=mask))  # type: ignore[attr-defined]
    counted = losses.loss_mask(mask, batch.rollout.finished, loss)
    weights = losses.token_weights(
      counted, loss.aggregation, length_budget=length_budget, axis_name=axis_name
    )
    value_weights = losses.token_weights(mask, "token_mean", axis_name=axis_name)
    parts = update.split((batch, weights, value_weights), micro_batches, network.place)
    scale = update.loss_scale(network.dtype, mask.size)
    gradients, value, metrics = update.summed_gradients(
      part_loss, state.params, parts, micro_batches, scale=scale
    )
    gradients, value = update.over_devices((gradients, value), axis_name)
    state, update_metrics = _apply(state, gradients, optimizers, value, state.step >= critic_warmup)
    metrics = metrics_lib.over_devices(metrics, axis_name)
    return state, metrics | update_metrics | {"loss/ppo": metrics_lib.single(value)}

  return step


def _apply(
  state: TrainState,
  gradients: Params,
  optimizers: Optimizers,
  loss: jax.Array,
  policy_moves: jax.Array,
) -> tuple[TrainState, Metrics]:
  """Each optimiser updates its part; the critic's figures are named critic/..."""
  parts, whole_gradients = _parts(state.params), _parts(gradients)
  params: Params = {}
  opt_state, metrics = {}, {}
  for name, part in parts.items():
    own = TrainState(state.step, part, state.opt_state[name])
    moves = policy_moves if name == "policy" else True
    own, found = update.apply_gradients(own, whole_gradients[name], *optimizers[name], loss, moves)
    params |= own.params if "head" in state.params else {name: own.params}
    opt_state[name] = own.opt_state
    for key, metric in found.items():
      metrics[key if name == "policy" else key.replace("train/", "critic/")] = metric
  if "critic/nonfinite" in metrics:
    bad = [metrics.pop("critic/nonfinite"), metrics["train/nonfinite"]]
    metrics["train/nonfinite"] = metrics_lib.single(jnp.maximum(*(m.value for m in bad)))
  return TrainState(state.step + 1, params, opt_state), metrics


def _parts(params: Params) -> dict[str, Any]:
  """What each optimiser has: a shared trunk and its head are one."""
  return {"policy": params} if "head" in params else dict(params)
