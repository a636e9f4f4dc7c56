"""Parameters of a decoder, by part."""

from collections.abc import Sequence

from grpo_jax.config import Architecture


def layer_parameters(a: Architecture) -> int:
  """One layer: projections, gated feed-forward, and the norms and biases beside them."""
  norms = (4 if a.post_norms else 2) * a.hidden_size + (2 * a.head_size if a.qk_norm else 0)
  biases = (a.heads + 2 * a.kv_heads) * a.head_size if a.qkv_bias else 0
  return layer_products(a) + norms + biases


def layer_products(a: Architecture) -> int:
  """Weights of one layer that tokens are multiplied with: D H (2 N + 2 K) + 3 D F."""
  attention = a.hidden_size * a.head_size * (2 * a.heads + 2 * a.kv_heads)
  return attention + 3 * a.hidden_size * a.ffn_size


def embedding_parameters(a: Architecture) -> int:
  """V D, the table of tokens; as many again make the head where it is not tied."""
  return a.vocab_size * a.hidden_size


def adapter_parameters(a: Architecture, rank: int, targets: Sequence[str]) -> int:
  """Low-rank adapters of all layers: r (I + O) for each weight of I inputs and O outputs."""
  D, F, H = a.hidden_size, a.ffn_size, a.head_size
  sides = {"query": a.heads * H, "key": a.kv_heads * H, "value": a.kv_heads * H}
  sides |= {"output": a.heads * H, "gate": F, "up": F, "down": F}
  return a.layers * rank * sum(D + sides[name] for name in targets)


def parameters(a: Architecture) -> int:
  """All of a decoder."""
  tables = embedding_parameters(a) * (1 if a.tied_embeddings else 2)
  return tables + a.layers * layer_parameters(a) + a.hidden_size
