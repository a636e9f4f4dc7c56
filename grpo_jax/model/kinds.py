"""What layers of one decoder differ in: how positions turn them, and how far back they look."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp

from grpo_jax.config import Architecture, RopeScaling

# Tokens that a layer without a window looks back: more than any context has.
_EVERYTHING = 2**30


@flax.struct.dataclass
class Kinds:
  """Of all layers, stacked as their weights are; of one layer without the leading L.

  frequencies: f32[L,H/2], radians a position; those of a layer without rotary embedding are 0.
  reach: i32[L], tokens that a token sees, itself among them; None where no layer has a window.
  """

  frequencies: jax.Array
  reach: jax.Array | None

  def turn(self, positions: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """The rotary embedding of one layer at `positions` i32[P,X], for x [P,X,heads,H]."""
    return lambda x: rotate(x, positions, self.frequencies)

  def of(self, layer: int) -> "Kinds":
    """One layer's."""
    return jax.tree.map(lambda leaf: leaf[layer], self)


def layer_kinds(a: Architecture) -> Kinds:
  """What an architecture says of its layers: of every n the last is the other one."""
  layers = jnp.arange(1, a.layers + 1)
  windowed = layers % a.global_every != 0 if a.global_every else layers > 0
  turned = layers % a.no_rope_every != 0 if a.no_rope_every else layers > 0
  frequencies = jnp.broadcast_to(rope_frequencies(a), (a.layers, a.head_size // 2))
  if a.window_rope_theta:
    local = _plain_frequencies(a.window_rope_theta, a.head_size)
    frequencies = jnp.where(windowed[:, None], local, frequencies)
  return Kinds(
    frequencies=jnp.where(turned[:, None], frequencies, 0),
    reach=jnp.where(windowed, a.sliding_window, _EVERYTHING) if a.sliding_window else None,
  )


def rotate(x: jax.Array, positions: jax.Array, frequencies: jax.Array) -> jax.Array:
  """Rotary position embedding, Su et al. 2021 (RoFormer), eq. 34, on halves as Llama has them.

  Args:
    x: [..., X, heads, H].
    positions: i32[..., X], 0 at a row's first real token.
    frequencies: f32[H/2], radians a position.

  Returns:
    [..., X, heads, H], each pair (x[i], x[i + H/2]) turned by positions * frequencies[i].
  """
  angles = (positions[..., None] * frequencies)[..., None, :]
  cos, sin = jnp.cos(angles), jnp.sin(angles)
  left, right = jnp.split(x.astype(jnp.float32), 2, axis=-1)
  turned = jnp.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
  return turned.astype(x.dtype)


def rope_frequencies(a: Architecture) -> jax.Array:
  """f32[H/2], radians a position; Llama 3 stretches those that turn rarely in its context."""
  frequencies = _plain_frequencies(a.rope_theta, a.head_size)
  return frequencies if a.rope_scaling is None else _stretch(frequencies, a.rope_scaling)


def _plain_frequencies(theta: float, H: int) -> jax.Array:
  """theta^(-2 i / H) for each pair i."""
  return theta ** (-jnp.arange(0, H, 2, dtype=jnp.float32) / H)


def _stretch(frequencies: jax.Array, scaling: RopeScaling) -> jax.Array:
  """Divides low frequencies by `factor`, leaves high ones, and blends between."""
  turns = scaling.original_context_length * frequencies / (2 * jnp.pi)
  low, high = scaling.low_freq_factor, scaling.high_freq_factor
  kept = jnp.clip((turns - low) / (high - low), 0, 1)
  return kept * frequencies + (1 - kept) * frequencies / scaling.factor
