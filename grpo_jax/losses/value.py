"""What a critic learns from, and how."""

import chex
import jax
import jax.numpy as jnp


def gae(
  rewards: jax.Array, values: jax.Array, mask: jax.Array, *, gamma: float, lam: float
) -> tuple[jax.Array, jax.Array]:
  """Generalised advantage estimation, Schulman et al. 2016, eq. 16, and the returns A + V.

  delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lambda A_{t+1}, where V is 0 after
  the last token. A masked position passes both on to the position before it.

  Args:
    rewards, values: f32[..., T]; what is masked does not matter.
    mask: bool[..., T].
    gamma, lam: in [0, 1].

  Returns:
    advantages f32[..., T] and returns f32[..., T], 0 where masked.
  """
  chex.assert_equal_shape([rewards, values, mask])
  rewards, values = jnp.where(mask, rewards, 0), jnp.where(mask, values, 0)

  def back(carry: tuple, at: tuple) -> tuple[tuple, jax.Array]:
    next_value, next_advantage = carry
    reward, value, real = at
    advantage = reward + gamma * next_value - value + gamma * lam * next_advantage
    carried = (jnp.where(real, value, next_value), jnp.where(real, advantage, next_advantage))
    return carried, jnp.where(real, advantage, 0)

  zeros = jnp.zeros(rewards.shape[:-1])
  each = [jnp.moveaxis(leaf, -1, 0) for leaf in (rewards, values, mask)]
  _, advantages = jax.lax.scan(back, (zeros, zeros), tuple(each), reverse=True)
  advantages = jnp.moveaxis(advantages, 0, -1)
  return advantages, advantages + values


def value_loss(
  values: jax.Array, old_values: jax.Array, returns: jax.Array, *, clip: float = 0.0
) -> jax.Array:
  """max((V - R)^2, (V_clip - R)^2) / 2, V_clip = V_old + clip(V - V_old, -clip, clip); f32[...].

  The value loss that PPO's authors used (Huang et al. 2022, detail 9); clip 0 is the plain square.
  """
  chex.assert_equal_shape([values, old_values, returns])
  loss = jnp.square(values - returns)
  if clip:
    clipped = old_values + jnp.clip(values - old_values, -clip, clip)
    loss = jnp.maximum(loss, jnp.square(clipped - returns))
  return loss / 2
