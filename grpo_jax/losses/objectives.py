"""Policy objectives, token by token, to be minimised; one function a variant.

Each takes logprobs f32[P,G,T], log_ratio = log pi - log pi_old f32[P,G,T], advantages f32[P,G,T],
mask bool[P,G,T] and the config, and gives the loss f32[P,G,T] of each token and
bool[P,G,T], true where a bound of the ratio has cut its gradient. What stands at a masked position
is finite and is not used.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from grpo_jax.config import LossConfig, is_on
from grpo_jax.losses.sequences import gmpo, gspo, gspo_token
from grpo_jax.losses.surrogate import clipped_surrogate

Objective = Callable[..., tuple[jax.Array, jax.Array]]


def ppo_clip(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-min(rho A, clip(rho, 1 - low, 1 + high) A): Schulman et al. 2017, eq. 7.

  Two bounds as in Yu et al. 2025 (DAPO), eq. 8. With dual_clip c, for A < 0 no more than -c A:
  Ye et al. 2020, eq. 5.
  """
  ratio = jnp.exp(log_ratio)
  loss, cut = clipped_surrogate(ratio, advantages, config)
  if not is_on(config.dual_clip):
    return loss, cut
  bound = -config.dual_clip * advantages
  beyond = (advantages < 0) & (loss > bound)
  return jnp.where(beyond, bound, loss), cut | beyond


def cispo(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-sg(clip(rho, floor, cap)) A log pi: MiniMax 2025 (MiniMax-M1), eq. 4 and 5.

  The bounds are ratios themselves, not distances from 1. A bound weakens a token's gradient and
  never removes it.
  """
  ratio = jax.lax.stop_gradient(jnp.exp(log_ratio))
  weight = jnp.clip(ratio, config.ratio_floor, config.ratio_cap)
  return -weight * advantages * logprobs, weight != ratio


def sapo(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-(4 / tau) sigmoid(tau (rho - 1)) A, tau by the sign of A: Gao et al. 2025 (SAPO).

  The gradient falls off smoothly away from rho = 1, so nothing is ever cut.
  """
  tau = jnp.where(advantages > 0, config.tau_positive, config.tau_negative)
  gate = jax.nn.sigmoid(tau * (jnp.exp(log_ratio) - 1)) * 4 / tau
  return -gate * advantages, jnp.zeros_like(mask)


def reinforce(
  logprobs: jax.Array,
  log_ratio: jax.Array,
  advantages: jax.Array,
  mask: jax.Array,
  config: LossConfig,
) -> tuple[jax.Array, jax.Array]:
  """-A log pi: Williams 1992."""
  return -advantages * logprobs, jnp.zeros_like(mask)


OBJECTIVES: dict[str, Objective] = {
  "ppo_clip": ppo_clip,
  "gspo": gspo,
  "gspo_token": gspo_token,
  "cispo": cispo,
  "gmpo": gmpo,
  "sapo": sapo,
  "reinforce": reinforce,
}
