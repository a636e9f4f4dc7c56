"""Bytes of the arrays that a program works with: of a layer, of scores, of logits, of copies."""

from grpo_jax.config import Architecture
from grpo_jax.plan.count import embedding_parameters, layer_parameters, layer_products
from grpo_jax.plan.roofline import How
from grpo_jax.plan.split import Split
from grpo_jax.plan.work import Work

# Queries whose scores exist at one time, as in model/attention.py.
_BLOCK = 128
# Read off compiled programs: what the backward pass of a layer holds, in times of its inputs and
# outputs (of layers that are written out, each more); of a block's scores; of a chunk's logits.
_BACKWARD = 3.1
_BACKWARD_UNROLLED = 3.3
_SCORES = 3
LOGITS = 3


def kept(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token and layer that wait for the backward pass.

  With remat the layer's input alone, D; else its query, key, value, gate and up too. Where all
  layers are written out they wait in the layers' own room.
  """
  if _at_once(a, how) == a.layers > 1:
    return 0.0
  if how.remat:
    return float(how.size * a.hidden_size)
  return how.worked * (a.hidden_size + _inside(a) / split.tensor)


def backward(a: Architecture, rows: int, work: Work, how: How, split: Split) -> float:
  """The layers that are in work at one time on the way back."""
  layer, layers = rows * work.tokens * working(a, how, split), _at_once(a, how)
  if layers > 1:
    return layers * _BACKWARD_UNROLLED * layer
  return _BACKWARD * layer + _SCORES * _scores(a, rows, work, split)


def _at_once(a: Architecture, how: How) -> int:
  """Layers that are written out for each turn of the loop: XLA holds all of them."""
  return min(how.unroll or a.layers, a.layers)


def working(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token of a layer's inputs and outputs, each once."""
  return how.worked * (2 * a.hidden_size + _inside(a) / split.tensor)


def _inside(a: Architecture) -> int:
  """Numbers a token within a layer: query, key, value, gate, up."""
  return (a.heads + 2 * a.kv_heads) * a.head_size + 2 * a.ffn_size


def _scores(a: Architecture, rows: int, work: Work, split: Split) -> float:
  """Float32 scores of one block of queries with all that they see."""
  own = work.G * min(work.fed, _BLOCK) * (work.fed + work.S)
  return 4.0 * rows * a.heads / split.tensor * max(own, min(work.S, _BLOCK) * work.S)


def headed(a: Architecture, rows: int, work: Work, how: How, split: Split, *, passes: int) -> float:
  """Hidden states that predict tokens, and the logits of one chunk of them."""
  states = how.size * rows * work.headed * a.hidden_size
  chunk = min(how.logprob_chunk, rows * work.headed)
  return passes * states + LOGITS * 4.0 * chunk * a.vocab_size / split.tensor


def served(a: Architecture, how: How, split: Split) -> float:
  """Weights as decoding reads them; a tied head in float32 is the embedding itself."""
  copied = how.dtype != "float32" or not a.tied_embeddings or split.fsdp > 1
  head = embedding_parameters(a) if copied else 0
  return how.worked * (a.layers * layer_products(a) + head) / split.tensor


def layer_weights(a: Architecture, how: How, split: Split) -> float:
  """The slices that a loop over layers takes of them, whole over fsdp."""
  return 4.0 * layer_parameters(a) * _at_once(a, how) / split.tensor


def tables(a: Architecture, how: How, split: Split) -> float:
  """Embedding and head, where they are not read as they are stored."""
  one = embedding_parameters(a) / split.tensor
  copies = how.worked * one if how.dtype != "float32" or not a.tied_embeddings else 0.0
  if split.fsdp > 1:
    copies += 4.0 * one * (1 if a.tied_embeddings else 2)
  return copies
