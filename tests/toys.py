"""Small networks and prompts for the tests, and a decoder in float64 NumPy to hold them against."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax import config, model
from grpo_jax.types import Prompts, Rollout

V = 23
FAMILIES = {
  "llama": {},
  "qwen2": {"qkv_bias": True, "tied_embeddings": False},
  "qwen3": {"qk_norm": True, "kv_heads": 1},
  # Wavelengths 6, 20, 63 and 199 against the bounds 8 and 32: one kept, one blended, two stretched.
  "llama3": {
    "rope_theta": 100.0,
    "rope_scaling": config.RopeScaling(
      factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_context_length=32
    ),
  },
  # Windows that are shorter than the tests' prompts and answers.
  "mistral": {"sliding_window": 3, "tied_embeddings": False},
  "smollm3": {"no_rope_every": 2, "rope_theta": 100.0},
  "gemma3": {
    "sliding_window": 2,
    "global_every": 2,
    "rope_theta": 1000.0,
    "window_rope_theta": 10.0,
    "score_size": 12,
    "qk_norm": True,
    "post_norms": True,
    "norms_add_one": True,
    "scaled_embeddings": True,
    "activation": "gelu_tanh",
  },
}


def architecture(**fields) -> config.Architecture:
  shape = {"vocab_size": V, "hidden_size": 16, "layers": 2, "heads": 4, "kv_heads": 2}
  shape |= {"head_size": 8, "ffn_size": 24, "context_length": 64}
  return config.Architecture(**{**shape, **fields})


def network(**fields) -> model.Network:
  names = ("dtype", "remat", "unroll", "logprob_chunk", "compactions", "attention")
  own = {name: fields.pop(name) for name in names if name in fields}
  return model.Network(architecture(**fields), **own)


def random_params(net: model.Network, seed=0) -> dict:
  """Parameters from NumPy (nothing to compile), with biases and norms that matter."""
  rng = np.random.default_rng(seed)
  scale = 0.0 if net.architecture.norms_add_one else 1.0

  def noise(path, leaf):
    one = scale if "norm" in jax.tree_util.keystr(path) else 0.0
    return jnp.asarray(one + rng.normal(size=leaf.shape) * 0.3, jnp.float32)

  return jax.tree_util.tree_map_with_path(noise, net.abstract())


def random_adapters(net: model.Network, lora: config.LoRA, seed=1) -> dict:
  """Adapters that add something."""
  rng = np.random.default_rng(seed)
  key = jax.random.key(0)
  shapes = jax.eval_shape(lambda: model.init_adapters(key, net.abstract(), lora.rank, lora.targets))
  noise = lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) * 0.3, jnp.float32)  # noqa: E731
  return jax.tree.map(noise, shapes)


def prompts(rows: list[list[int]], width: int | None = None, filler: int = 0) -> Prompts:
  """Left-padded rows; `filler` stands in the padding."""
  width = width or max(map(len, rows))
  tokens = np.full((len(rows), width), filler, np.int32)
  mask = np.zeros((len(rows), width), bool)
  for p, row in enumerate(rows):
    tokens[p, width - len(row) :] = row
    mask[p, width - len(row) :] = True
  return Prompts(jnp.asarray(tokens), jnp.asarray(mask))


def separate(prompts: Prompts, group_size: int) -> Prompts:
  """Each prompt group_size times over: what a group is without a shared prefix."""
  return jax.tree.map(lambda leaf: jnp.repeat(leaf, group_size, axis=0), prompts)


def answers_of(prompts: Prompts, tokens, mask=None) -> Rollout:
  """A rollout of given answers [P,G,T], as a trainer sees it."""
  tokens = jnp.asarray(tokens, jnp.int32)
  mask = jnp.ones(tokens.shape, bool) if mask is None else mask
  return Rollout(prompts, tokens, mask, jnp.zeros(tokens.shape), jnp.ones(tokens.shape[:2], bool))


def markov_network() -> model.Network:
  return network(hidden_size=24, tied_embeddings=False, layers=1)


def markov_params(net: model.Network, table: np.ndarray) -> dict:
  """A model whose next-token logits depend on the last token only: table[last, next].

  Attention and feed-forward add nothing; one-hot embeddings pass the final norm as sqrt(D) in one
  place, and the head holds the table. So the log-prob of any sequence can be worked by hand.
  """
  D = net.architecture.hidden_size
  assert V == len(table) <= D
  assert not net.architecture.tied_embeddings
  params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), net.abstract())
  scale = math.sqrt(1 / D + net.architecture.norm_eps)
  params["embed"] = jnp.eye(V, D)
  params["final_norm"] = jnp.full(D, scale)
  params["head"] = jnp.zeros((D, V)).at[:V].set(jnp.asarray(table, jnp.float32))
  return params


def reference_logits(a: config.Architecture, params: dict, tokens: list[int]) -> np.ndarray:
  """Logits [X,V] of one unpadded row, in float64 with loops over heads and positions."""
  p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
  x = p["embed"][tokens]
  if a.scaled_embeddings:
    x = x * math.sqrt(a.hidden_size)
  for layer in range(a.layers):
    w = {name: leaf[layer] for name, leaf in p["layers"].items()}
    mixed = _attention(a, layer, w, _norm(a, x, w["attention_norm"]))
    x = x + (_norm(a, mixed, w["attention_post_norm"]) if a.post_norms else mixed)
    y = _norm(a, x, w["ffn_norm"])
    y = (_activated(a, y @ w["gate"]) * (y @ w["up"])) @ w["down"]
    x = x + (_norm(a, y, w["ffn_post_norm"]) if a.post_norms else y)
  head = p["embed"].T if a.tied_embeddings else p["head"]
  return _norm(a, x, p["final_norm"]) @ head


def _norm(a, x, weight):
  scale = 1 + weight if a.norms_add_one else weight
  return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + a.norm_eps) * scale


def _activated(a, x):
  if a.activation == "silu":
    return x / (1 + np.exp(-x))
  return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _is_last(layer, every) -> bool:
  """Whether it is the last of its `every` layers."""
  return every > 0 and layer % every == every - 1


def _attention(a, layer, w, y):
  X = len(y)
  mixed = np.zeros((X, a.hidden_size))
  windowed = a.sliding_window and not _is_last(layer, a.global_every)
  for n in range(a.heads):
    k = n // (a.heads // a.kv_heads)
    query, key, value = y @ w["query"][:, n], y @ w["key"][:, k], y @ w["value"][:, k]
    if a.qkv_bias:
      query, key = query + w["query_bias"][n], key + w["key_bias"][k]
      value = value + w["value_bias"][k]
    if a.qk_norm:
      query = _norm(a, query, w["query_norm"])
      key = _norm(a, key, w["key_norm"])
    if not _is_last(layer, a.no_rope_every):
      query, key = _turned(a, query, windowed), _turned(a, key, windowed)
    for t in range(X):
      first = max(0, t + 1 - a.sliding_window) if windowed else 0
      scores = key[first : t + 1] @ query[t] / math.sqrt(a.score_size or a.head_size)
      weights = np.exp(scores - scores.max())
      mixed[t] += (weights / weights.sum()) @ value[first : t + 1] @ w["output"][n]
  return mixed


def _turned(a, x, windowed):
  half = a.head_size // 2
  turned = np.zeros_like(x)
  for t in range(len(x)):
    for i in range(half):
      angle = t * _frequency(a, i)
      if windowed and a.window_rope_theta:
        angle = t * a.window_rope_theta ** (-2 * i / a.head_size)
      turned[t, i] = x[t, i] * math.cos(angle) - x[t, i + half] * math.sin(angle)
      turned[t, i + half] = x[t, i + half] * math.cos(angle) + x[t, i] * math.sin(angle)
  return turned


def _frequency(a, i) -> float:
  """Of pair i, radians a position; Llama 3's rule is written by wavelength, as Meta has it."""
  frequency = a.rope_theta ** (-2 * i / a.head_size)
  s = a.rope_scaling
  if s is None:
    return frequency
  wavelength = 2 * math.pi / frequency
  if wavelength < s.original_context_length / s.high_freq_factor:
    return frequency
  if wavelength > s.original_context_length / s.low_freq_factor:
    return frequency / s.factor
  smooth = s.original_context_length / wavelength - s.low_freq_factor
  smooth /= s.high_freq_factor - s.low_freq_factor
  return (1 - smooth) * frequency / s.factor + smooth * frequency
