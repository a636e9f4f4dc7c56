"""Learning rates: a linear rise, then a fall to a floor that is itself a learning rate."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from grpo_jax.config import is_known

# (progress in [0, 1] through the decay) -> share of the way from the peak down to the floor
Shape = Callable[[jax.Array], jax.Array]


def cosine_with_floor(
  *, peak: float, floor: float, decay_steps: int, warmup_steps: int = 0
) -> optax.Schedule:
  """floor + (peak - floor) (1 + cos(pi s)) / 2, with s the progress from warm-up to decay_steps.

  Loshchilov & Hutter 2017 (SGDR), eq. 5, without restarts.

  Args:
    peak, floor: learning rates, 0 <= floor <= peak.
    decay_steps: where the floor is reached, counted from step 0 with the warm-up; it holds past it.
    warmup_steps: linear rise from 0 at step 0 to the peak, in [0, decay_steps).

  Raises:
    ValueError: an argument is out of its range.
  """
  return _schedule(lambda s: (1 - jnp.cos(jnp.pi * s)) / 2, peak, floor, warmup_steps, decay_steps)


def linear_with_floor(
  *, peak: float, floor: float, decay_steps: int, warmup_steps: int = 0
) -> optax.Schedule:
  """peak + (floor - peak) s: as `cosine_with_floor`, along a straight line."""
  return _schedule(lambda s: s, peak, floor, warmup_steps, decay_steps)


def warmup_stable_decay(
  *, peak: float, floor: float, decay_steps: int, warmup_steps: int = 0, stable_steps: int = 0
) -> optax.Schedule:
  """Rise, stay at the peak for stable_steps, then fall along a straight line to the floor.

  Hu et al. 2024 (MiniCPM), section 4.3. decay_steps counts from step 0 and includes both.
  """
  if stable_steps < 0 or warmup_steps < 0:
    raise ValueError(
      f"stable_steps={stable_steps}, warmup_steps={warmup_steps}: must be 0 or above"
    )
  fall = _schedule(lambda s: s, peak, floor, warmup_steps + stable_steps, decay_steps)
  return lambda step: jnp.where(
    step < warmup_steps + stable_steps, _rise(peak, warmup_steps)(step), fall(step)
  )


def constant_with_warmup(*, peak: float, warmup_steps: int = 0) -> optax.Schedule:
  """Rise, then the peak for ever."""
  if is_known(peak) and (not peak > 0 or warmup_steps < 0):
    raise ValueError(f"peak={peak} must be above 0 and warmup_steps={warmup_steps} at least 0")
  return _rise(peak, warmup_steps)


def _rise(peak: float, warmup_steps: int) -> optax.Schedule:
  return lambda step: (
    peak * jnp.minimum(jnp.asarray(step) / max(warmup_steps, 1), 1.0)
    if (warmup_steps)
    else jnp.full(jnp.shape(step), peak, jnp.float32)
  )


def _schedule(
  shape: Shape, peak: float, floor: float, warmup_steps: int, decay_steps: int
) -> optax.Schedule:
  if is_known(floor, peak) and (not 0 <= floor <= peak or peak <= 0):
    raise ValueError(f"floor={floor} and peak={peak} are learning rates: 0 <= floor <= peak > 0")
  if warmup_steps < 0:
    raise ValueError(f"warmup_steps={warmup_steps} must be 0 or above")
  if not warmup_steps < decay_steps:
    raise ValueError(
      f"decay_steps={decay_steps} counts from step 0 and must be longer than the {warmup_steps}"
      " steps before the decay"
    )

  def schedule(step: jax.Array) -> jax.Array:
    progress = jnp.clip((step - warmup_steps) / (decay_steps - warmup_steps), 0.0, 1.0)
    fall = peak + (floor - peak) * shape(progress)
    # The sum above may miss the floor by rounding; past the end it is the floor itself.
    fall = jnp.where(progress >= 1, floor, fall)
    return jnp.where(step < warmup_steps, _rise(peak, warmup_steps)(step), fall)

  return schedule
