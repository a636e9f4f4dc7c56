"""AdamW after a global-norm clip, and its learning rate, from the config."""

from typing import Any

import optax

from grpo_jax import schedules
from grpo_jax.config import Optimizer, is_on
from grpo_jax.guard import guarded


def make_optimizer(config: Optimizer) -> optax.GradientTransformation:
  """Gradient -> direction, before the learning rate: clip, Adam's moments, decoupled decay.

  Loshchilov & Hutter 2019 (AdamW), algorithm 2. Moments are float32, as the parameters are, unless
  config.first_moment says otherwise of the first. With config.spike_sigma, spikes are left out by
  `guard.guarded`.
  """
  parts = [
    optax.scale_by_adam(
      b1=config.beta1, b2=config.beta2, eps=config.eps, mu_dtype=config.first_moment
    ),
    optax.add_decayed_weights(config.weight_decay),
  ]
  if is_on(config.max_grad_norm):
    parts.insert(0, optax.clip_by_global_norm(config.max_grad_norm))
  optimizer = optax.chain(*parts)
  if not is_on(config.spike_sigma):
    return optimizer
  return guarded(optimizer, sigma=config.spike_sigma, window=config.spike_window)


def make_schedule(config: Optimizer, updates: int) -> optax.Schedule:
  """Update number -> learning rate, for a stage of `updates` updates."""
  rise: dict[str, Any] = {"peak": config.lr, "warmup_steps": config.warmup_steps}
  if config.schedule == "constant":
    return schedules.constant_with_warmup(**rise)
  fall = rise | {"floor": config.min_lr, "decay_steps": config.decay_steps or updates}
  if config.schedule == "warmup_stable_decay":
    return schedules.warmup_stable_decay(**fall, stable_steps=config.stable_steps)
  return _FALLS[config.schedule](**fall)


_FALLS = {"cosine": schedules.cosine_with_floor, "linear": schedules.linear_with_floor}
