"""Low-rank adapters: parameters of their own, put beside the weights that they are added to."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from grpo_jax.types import Params

# Leading axes of a layer's weight that its product sums over; of all others it is one.
INPUTS = {"output": 2}
_A, _B, _SCALE = "_a", "_b", "adapter_scale"


def init_adapters(key: jax.Array, params: Params, rank: int, targets: Sequence[str]) -> Params:
  """Adapters that add nothing yet: A uniform in +-1/sqrt(I), B zero.

  Args:
    key: randomness.
    params: of a decoder, whose weights [L, *I, *O] say the shapes.
    rank: r. targets: names of weights.

  Returns:
    {"layers": {"query_a": f32[L, *I, r], "query_b": f32[L, r, *O], ...}}.
  """
  found = {}
  for name, own in zip(targets, jax.random.split(key, len(targets)), strict=True):
    shape, inputs = params["layers"][name].shape, 1 + INPUTS.get(name, 1)
    bound = math.prod(shape[1:inputs]) ** -0.5
    found[name + _A] = jax.random.uniform(own, (*shape[:inputs], rank), minval=-bound, maxval=bound)
    found[name + _B] = jnp.zeros((shape[0], rank, *shape[inputs:]))
  return {"layers": found}


def frozen_base(params: Params, scale: float | jax.Array) -> dict[str, Any]:
  """What a state keeps beside its adapters: the weights, and alpha / rank for each layer f32[L]."""
  layers = params["layers"]["attention_norm"].shape[0]
  return {"base": params, "scale": jnp.full(layers, scale, jnp.float32)}


def adapted(trained: Params, frozen: Any) -> Params:
  """Parameters as a network takes them: weights with their adapters beside them.

  Nothing is computed. A state without frozen weights trains all of them: they are as they are.
  """
  if frozen is None:
    return trained
  base = frozen["base"]
  layers = base["layers"] | trained["layers"] | {_SCALE: frozen["scale"]}
  return base | {"layers": layers}


def ranks(params: Params) -> tuple[tuple[str, int], ...]:
  """Each weight that has an adapter among `params`, and its rank."""
  layers = params["layers"]
  names = sorted(name for name in layers if name.endswith(_A) and name[: -len(_A)] in layers)
  return tuple((name[: -len(_A)], layers[name].shape[-1]) for name in names)


def merged(params: Params) -> Params:
  """Parameters without adapters that give the same outputs: W + scale A B, in float32."""
  layers = dict(params["layers"])
  for name, _ in ranks(params):
    down, up = layers.pop(name + _A), layers.pop(name + _B)
    both = jax.vmap(product)(down, up, layers[_SCALE])
    layers[name] = layers[name] + both
  layers.pop(_SCALE, None)
  return params | {"layers": layers}


def product(down: jax.Array, up: jax.Array, scale: jax.Array) -> jax.Array:
  """scale A B of one layer: [*I, r], [r, *O] -> [*I, *O]."""
  return scale * jnp.tensordot(down, up, axes=1)
