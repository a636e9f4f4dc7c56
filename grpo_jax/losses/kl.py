"""Estimators of KL(pi || pi_ref) from sampled tokens."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# exp(20) is far beyond any clip range and far from overflow.
LOG_RATIO_BOUND = 20.0


def kl_estimate(logprobs: jax.Array, ref_logprobs: jax.Array, kind: str = "k3") -> jax.Array:
  """KL(pi || pi_ref) from samples of pi: Schulman 2020 (Approximating KL Divergence).

  With x = log pi_ref - log pi, clipped to +-20: k1 = -x, unbiased; k2 = x^2 / 2, low variance, its
  gradient that of the KL on policy; k3 = e^x - x - 1, unbiased and never negative, its gradient not
  that of the KL.

  Args:
    logprobs, ref_logprobs: f32[...], of the same sampled tokens.
    kind: "k1", "k2" or "k3".

  Returns:
    f32[...], in nats.
  """
  if kind not in KL_ESTIMATORS:
    raise ValueError(f"kind={kind!r} must be one of {sorted(KL_ESTIMATORS)}")
  x = jnp.clip(ref_logprobs - logprobs, -LOG_RATIO_BOUND, LOG_RATIO_BOUND)
  return KL_ESTIMATORS[kind](x)


def k3(x: jax.Array) -> jax.Array:
  """e^x - x - 1, without losing digits near 0."""
  return jnp.expm1(x) - x


KL_ESTIMATORS: dict[str, Callable[[jax.Array], jax.Array]] = {
  "k1": lambda x: -x,
  "k2": lambda x: jnp.square(x) / 2,
  "k3": k3,
}
