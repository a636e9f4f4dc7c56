"""What every kind of training shares: gradients summed over micro-batches, and one update."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grpo_jax import guard
from grpo_jax import metrics as metrics_lib
from grpo_jax.metrics import Metrics
from grpo_jax.model import Placement
from grpo_jax.types import Params, TrainState

# A part of a batch -> its share of the loss (shares add up), and metrics.
LossFn = Callable[[Params, Any], tuple[jax.Array, Metrics]]


def summed_gradients(
  loss_fn: LossFn, params: Params, parts: Any, count: jax.Array | int, *, scale: float = 1.0
) -> tuple[Params, jax.Array, Metrics]:
  """Gradient, loss and metrics summed over the first `count` parts, one at a time in memory.

  Args:
    loss_fn: the loss of a part; the losses of all parts add up to that of the batch.
    params: parameters.
    parts: a pytree with a leading axis of micro-batches.
    count: i32[], how many of them to run; may be traced.
    scale: what the loss is multiplied with on the way back, see `loss_scale`.
  """

  def scaled(params: Params, part: Any) -> tuple[jax.Array, tuple[jax.Array, Metrics]]:
    loss, metrics = loss_fn(params, part)
    return loss * scale, (loss, metrics)

  value_and_grad = jax.value_and_grad(scaled, has_aux=True)

  def part(index: jax.Array | int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], parts)

  def add(index: jax.Array, total: tuple) -> tuple:
    gradients, loss, metrics = total
    (_, (more, metrics_more)), gradients_more = value_and_grad(params, part(index))
    gradients = jax.tree.map(lambda g, m: g + m / scale, gradients, gradients_more)
    return gradients, loss + more, metrics_lib.merge(metrics, metrics_more)

  def only() -> tuple:
    (_, (loss, metrics)), gradients = value_and_grad(params, part(0))
    return jax.tree.map(lambda g: g / scale, gradients), loss, metrics

  def zeros() -> tuple:
    shapes = jax.eval_shape(loss_fn, params, part(0))
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes[1])
    return jax.tree.map(jnp.zeros_like, params), jnp.float32(0), empty

  if jax.tree.leaves(parts)[0].shape[0] == 1:  # no second copy of the gradient to add to
    return jax.lax.cond(count > 0, only, zeros)
  return jax.lax.fori_loop(0, count, add, zeros())


def loss_scale(dtype: str, tokens: int) -> float:
  """A power of two that keeps the gradient of each of `tokens` tokens a normal float16.

  A token weighs about 1 / tokens in the loss, and float16 loses digits under 6e-5; scaled, it
  weighs about 1/16, and a sum over 100,000 of them stays under 65,504. Other types need none: 1.
  """
  return 2.0 ** round(math.log2(max(tokens / 16, 1))) if dtype == "float16" else 1.0


def apply_gradients(
  state: TrainState,
  gradients: Params,
  optimizer: optax.GradientTransformation,
  schedule: optax.Schedule,
  loss: jax.Array,
  has_signal: jax.Array | bool = True,
) -> tuple[TrainState, Metrics]:
  """theta - lr(step) direction(gradient); nothing moves without signal or with a bad gradient.

  The step counts on either way, so that the learning rate does not depend on the signal.

  Args:
    state: parameters and optimiser state.
    gradients: of the whole batch, all devices together.
    optimizer: gradient -> direction, before the learning rate.
    schedule: step -> learning rate.
    loss: f32[], of the whole batch.
    has_signal: bool[], false where the gradient is zero because nothing could be learned.
  """
  norm = optax.tree.norm(gradients)
  finite = jnp.isfinite(norm) & jnp.isfinite(loss)
  usable = finite & has_signal
  lr, whole = schedule(state.step), optax.with_extra_args_support(optimizer)

  def update(_: None) -> tuple[Params, Any]:
    direction, opt_state = whole.update(gradients, state.opt_state, state.params, value=loss)
    params = jax.tree.map(lambda p, d: p - lr * d, state.params, direction)
    return params, opt_state

  params, opt_state = jax.lax.cond(usable, update, lambda _: (state.params, state.opt_state), None)
  metrics: Metrics = {
    "train/lr": metrics_lib.single(lr),
    "train/grad_norm": metrics_lib.single(norm),
    "train/skipped": metrics_lib.single(~usable),
    "train/nonfinite": metrics_lib.single(~finite),
  }
  if (spiked := guard.has_spiked(opt_state)) is not None:
    metrics["train/spike"] = metrics_lib.single(usable & spiked)
    metrics["train/skipped"] = metrics_lib.single(~usable | spiked)
  return TrainState(state.step + 1, params, opt_state, state.frozen), metrics


def init_state(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
  """The state before the first update of a stage."""
  return TrainState(jnp.int32(0), params, optimizer.init(params))


def over_devices(tree: Any, axis_name: str | None) -> Any:
  """The sum over devices, where there is an axis of them."""
  return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def split(tree: Any, parts: int, place: Placement) -> Any:
  """[P, ...] -> [parts, P / parts, ...] in every leaf, each part on all devices."""
  parted = jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), tree)
  return place.rows(parted, axis=1)
