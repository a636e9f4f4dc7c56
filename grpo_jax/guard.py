"""A guard against updates out of line with those before: their loss or gradient is a spike."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

# A normal distribution's standard deviation in median absolute deviations.
_SIGMA = 1.4826
# What varies by less than this share of its median is not out of line.
_LEAST = 0.1


class GuardState(NamedTuple):
  """inner: of the guarded optimiser. seen: f32[window,2], losses and gradient norms, or NaN.

  number: i32[], updates seen. spiked: bool[], whether the last one was skipped.
  """

  inner: Any
  seen: jax.Array
  number: jax.Array
  spiked: jax.Array


def is_spike(seen: jax.Array, now: jax.Array, sigma: float) -> jax.Array:
  """bool[], whether a figure is above median + sigma max(1.4826 MAD, |median| / 10) of its own.

  MAD is the median absolute deviation (Hampel 1974): half of the window may be spikes without
  hiding the next, and a level that stays is the median after as many updates. Nothing is a spike
  until half of the window is known.

  Args:
    seen: f32[window,N], of the updates before, NaN where there were none.
    now: f32[N].
    sigma: in standard deviations.
  """
  known = jnp.sum(~jnp.isnan(seen[:, 0])) * 2 >= seen.shape[0]
  median = jnp.nanmedian(seen, axis=0)
  spread = _SIGMA * jnp.nanmedian(jnp.abs(seen - median), axis=0)
  limit = median + sigma * jnp.maximum(spread, _LEAST * jnp.abs(median))
  return known & jnp.any(now > limit)


def guarded(
  optimizer: optax.GradientTransformation, *, sigma: float, window: int
) -> optax.GradientTransformationExtraArgs:
  """The optimiser, which leaves an update out whose loss or gradient norm is a spike.

  `update` takes the loss as `value`, and only what is finite: what it has seen is never NaN. A
  spike is remembered like any other.

  Args:
    optimizer: gradient -> direction.
    sigma, window: as of `is_spike`, of the last `window` updates.
  """

  def init(params: Any) -> GuardState:
    seen = jnp.full((window, 2), jnp.nan, jnp.float32)
    return GuardState(optimizer.init(params), seen, jnp.int32(0), jnp.bool_(False))

  def update(
    gradients: Any, state: GuardState, params: Any = None, *, value: jax.Array, **_: Any
  ) -> tuple[Any, GuardState]:
    now = jnp.stack([value, optax.tree.norm(gradients)])
    spiked = is_spike(state.seen, now, sigma)
    direction, inner = jax.lax.cond(
      spiked,
      lambda: (jax.tree.map(jnp.zeros_like, gradients), state.inner),
      lambda: optimizer.update(gradients, state.inner, params),
    )
    seen = state.seen.at[state.number % window].set(now)
    return direction, GuardState(inner, seen, state.number + 1, spiked)

  return optax.GradientTransformationExtraArgs(init, update)


def has_spiked(opt_state: Any) -> jax.Array | bool | None:
  """Whether the guard has left the last update out; None where there is no guard."""
  return opt_state.spiked if isinstance(opt_state, GuardState) else None
