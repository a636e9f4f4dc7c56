"""Losses of a reward model."""

import chex
import jax
import jax.numpy as jnp


def bradley_terry(
  chosen: jax.Array, rejected: jax.Array, *, margin: float = 0.0, centering: float = 0.0
) -> jax.Array:
  """-log sigmoid(r_chosen - r_rejected - margin) + centering (r_chosen + r_rejected)^2.

  Bradley & Terry 1952, as in Ouyang et al. 2022, eq. 1; the margin of Touvron et al. 2023 (Llama
  2), eq. 2; the penalty of Eisenstein et al. 2023, without which scores may drift together.

  Args:
    chosen, rejected: f32[P], scores of the preferred answers and of the others.
    margin: 0 or more, in units of the score.
    centering: 0 or more.

  Returns:
    f32[P], one a pair.
  """
  chex.assert_rank([chosen, rejected], 1)
  chex.assert_equal_shape([chosen, rejected])
  loss = -jax.nn.log_sigmoid(chosen - rejected - margin)
  return loss + centering * jnp.square(chosen + rejected)
