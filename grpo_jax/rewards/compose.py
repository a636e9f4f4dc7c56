"""Several rewards as one: weights that change, gates, and what an unscored answer means."""

from collections.abc import Mapping

import chex
import jax
import jax.numpy as jnp

from grpo_jax.config import Term, is_on


def term_weight(term: Term, step: jax.Array | int) -> jax.Array:
  """w(step) = weight + p (end_weight - weight), f32[].

  p is 0 up to `start`; then (step - start) / (end - start) up to 1 at `end`, with "cosine"
  (1 - cos(pi p)) / 2 of that; with "step" 1 at `start`.
  """
  if term.schedule == "constant":
    return jnp.float32(term.weight)
  if term.schedule == "step":
    progress = jnp.float32(step >= term.start)
  else:
    progress = jnp.clip((step - term.start) / (term.end - term.start), 0, 1)
  if term.schedule == "cosine":
    progress = (1 - jnp.cos(jnp.pi * progress)) / 2
  return jnp.float32(term.weight + progress * (term.end_weight - term.weight))


def compose(
  parts: jax.Array, terms: Mapping[str, Term], step: jax.Array | int
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """The weighted sum of what counts of each reward.

  Args:
    parts: f32[R,P,G], the raw rewards in the order of `terms`, NaN where there is none.
    terms: of each reward by name.
    step: of the stage, from 0.

  Returns:
    total f32[P,G] = sum_k w_k(step) counted_k, NaN where any counted part is; counted f32[R,P,G],
    after gates and `unscored`, never NaN of a reward whose weight stays 0; weights f32[R].
  """
  chex.assert_shape(parts, (len(terms), None, None))
  names = list(terms)
  filled = [
    jnp.where(jnp.isnan(part), 0, part) if term.unscored == "zero" else part
    for part, term in zip(parts, terms.values(), strict=True)
  ]
  counted = []
  for part, term in zip(filled, terms.values(), strict=True):
    if term.gate:
      part = _gated(part, filled[names.index(term.gate)], term)
    # A reward that is only logged leaves the answers that it cannot score to the others.
    counted.append(jnp.where(jnp.isnan(part), 0, part) if _only_logged(term) else part)
  weights = jnp.stack([term_weight(term, step) for term in terms.values()])
  stacked = jnp.stack(counted)
  # By hand and not as one product: NaN times a weight that is 0 now must stay NaN on every device.
  total = jnp.sum(weights[:, None, None] * stacked, axis=0)
  return total, stacked, weights


def _only_logged(term: Term) -> bool:
  return term.schedule == "constant" and not is_on(term.weight)


def _gated(part: jax.Array, gate: jax.Array, term: Term) -> jax.Array:
  """The part where its gate is open; unscored where the gate is, whatever the part is."""
  if term.gate_how == "multiply":
    return part * gate
  return jnp.where(jnp.isnan(gate), jnp.nan, jnp.where(gate >= term.gate_at, part, 0))
