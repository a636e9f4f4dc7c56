"""Bytes of one device, by part: what is always there, and what each program adds while it runs."""

import dataclasses
from collections.abc import Mapping

from grpo_jax.config import Architecture
from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.count import embedding_parameters, layer_parameters, layer_products, parameters
from grpo_jax.plan.roofline import How, kv_heads
from grpo_jax.plan.work import Split, Work

# Queries whose scores exist at one time, as in model/attention.py.
_BLOCK = 128
# Read off compiled programs: what the backward pass of a layer holds, in times of its inputs and
# outputs (of layers that are written out, each more); of a block's scores; of a chunk's logits.
_BACKWARD = 3.1
_BACKWARD_UNROLLED = 3.3
_SCORES = 3
_LOGITS = 3
# A process before there is a model: Python, JAX, and the programs that it has compiled.
_PROCESS = 0.45e9

Parts = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Memory:
  """always: parts that are there in every phase. programs: parts of each, while it runs."""

  always: Parts
  programs: dict[str, Parts]

  @property
  def busiest(self) -> str:
    """The program that needs the most."""
    return max(self.programs, key=lambda name: sum(self.programs[name].values()))

  @property
  def peak(self) -> float:
    """The most that is held at one time."""
    return sum(self.always.values()) + sum(self.programs[self.busiest].values())

  def with_compiled(self, compiled: Mapping[str, Compiled]) -> float:
    """`peak` with what the compiler says of the programs instead of the formulae."""
    return sum(self.always.values()) + max(of.new for of in compiled.values())


def stage_memory(
  a: Architecture, work: Work, judged: Work, how: How, split: Split, *, on_cpu: bool = False
) -> Memory:
  """The memory of a stage on the busiest device.

  Args:
    a: the policy. work: a step. judged: a batch of the evaluation.
    how, split: how it is computed and divided.
    on_cpu: memory is the whole process's.
  """
  how = dataclasses.replace(how, upcast=on_cpu)
  programs = {"evaluation": rollout_parts(a, judged, how, split)}
  if work.decoded:
    programs["rollout"] = rollout_parts(a, work, how, split)
  if work.old or work.reference:
    programs["look"] = look_parts(a, work, how, split)
  programs["update"] = update_parts(a, work, how, split)
  return Memory(state_parts(a, work, split, on_cpu=on_cpu), programs)


def state_parts(a: Architecture, work: Work, split: Split, *, on_cpu: bool) -> Parts:
  """Float32 weights with two moments each, and the models beside them that are only read."""
  one = 4.0 * parameters(a) / split.weights
  found = {
    "process": _PROCESS if on_cpu else 0.0,
    "weights": one,
    "moments": 2 * one,
    "reference": one if work.reference else 0.0,
    "critic, its moments": 3 * one if work.critic == "separate" else 0.0,
    "reward models": one * work.judges,
    "policy beside": one if work.beside else 0.0,
  }
  return {name: size for name, size in found.items() if size}


def rollout_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """Prefill and decode.

  A copy of the weights laid out for decoding, whole over fsdp; keys and values of prompts and
  answers, which a compaction halves layer by layer; logits of all answers.
  """
  rows = -(-work.P // split.rows)
  answers = rows * work.G
  token = 2 * a.layers * kv_heads(a, split) * a.head_size * how.size
  return {
    "decode copy of weights": _served(a, how, split),
    "layers' weights": _layer_weights(a, how, split),
    "keys, values of prompts": rows * work.S * token,
    "keys, values of answers": answers * work.T * token,
    "prefill of a layer, or logits": max(
      rows * work.S * _working(a, how, split),
      _LOGITS * 4.0 * answers * a.vocab_size / split.tensor,
    ),
  }


def _served(a: Architecture, how: How, split: Split) -> float:
  """Weights as decoding reads them; a tied head in float32 is the embedding itself."""
  tables = embedding_parameters(a)
  copied = how.dtype != "float32" or not a.tied_embeddings or split.fsdp > 1
  head = how.size * tables if copied else 0.0
  return (how.size * a.layers * layer_products(a) + head) / split.tensor


def look_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """A forward pass over one part of the batch at a time."""
  rows = _part_rows(work, split)
  return {
    "layers' weights": _layer_weights(a, how, split),
    "gathered tables": _tables(a, how, split),
    "a layer, or logits": max(
      rows * work.tokens * _working(a, how, split), _headed(a, rows, work, how, split, passes=1)
    ),
  }


def update_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """One micro-batch forward and backward, and the gradients that they add up to."""
  rows, one = _part_rows(work, split), 4.0 * parameters(a) / split.weights
  decoders = 1 + (work.critic == "separate")
  copies = 1 if work.micro_batches == 1 else 2
  tokens = rows * work.tokens
  return {
    "gradients": decoders * copies * one,
    "layers' weights": _layer_weights(a, how, split),
    "gathered tables": _tables(a, how, split),
    "activations": decoders * tokens * a.layers * kept(a, how, split),
    "a layer, or logits": max(
      _backward(a, rows, work, how, split), _headed(a, rows, work, how, split, passes=3)
    ),
  }


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


def _backward(a: Architecture, rows: int, work: Work, how: How, split: Split) -> float:
  """The layers that are in work at one time on the way back."""
  layer, layers = rows * work.tokens * _working(a, how, split), _at_once(a, how)
  if layers > 1:
    return layers * _BACKWARD_UNROLLED * layer
  return _BACKWARD * layer + _SCORES * _scores(a, rows, work, split)


def _at_once(a: Architecture, how: How) -> int:
  """Layers that are written out for each turn of the loop: XLA holds all of them."""
  return min(how.unroll or a.layers, a.layers)


def _working(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token of a layer's inputs and outputs, each once."""
  return how.worked * (2 * a.hidden_size + _inside(a) / split.tensor)


def _inside(a: Architecture) -> int:
  """Numbers a token within a layer: query, key, value, gate, up."""
  return (a.heads + 2 * a.kv_heads) * a.head_size + 2 * a.ffn_size


def _scores(a: Architecture, rows: int, work: Work, split: Split) -> float:
  """Float32 scores of one block of queries with all that they see."""
  own = work.G * min(work.fed, _BLOCK) * (work.fed + work.S)
  return 4.0 * rows * a.heads / split.tensor * max(own, min(work.S, _BLOCK) * work.S)


def _headed(
  a: Architecture, rows: int, work: Work, how: How, split: Split, *, passes: int
) -> float:
  """Hidden states that predict tokens, and the logits of one chunk of them."""
  states = how.size * rows * work.headed * a.hidden_size
  chunk = min(how.logprob_chunk, rows * work.headed)
  return passes * states + _LOGITS * 4.0 * chunk * a.vocab_size / split.tensor


def _served(a: Architecture, how: How, split: Split) -> float:
  """Weights as decoding reads them; a tied head in float32 is the embedding itself."""
  copied = how.dtype != "float32" or not a.tied_embeddings or split.fsdp > 1
  tables = embedding_parameters(a) if copied else 0
  return how.worked * (a.layers * layer_products(a) + tables) / split.tensor


def _layer_weights(a: Architecture, how: How, split: Split) -> float:
  """The slices that a loop over layers takes of them, whole over fsdp."""
  return 4.0 * layer_parameters(a) * _at_once(a, how) / split.tensor


def _tables(a: Architecture, how: How, split: Split) -> float:
  """Embedding and head, where they are not read as they are stored."""
  tables = embedding_parameters(a) / split.tensor
  copies = how.worked * tables if how.dtype != "float32" or not a.tied_embeddings else 0.0
  if split.fsdp > 1:
    copies += 4.0 * tables * (1 if a.tied_embeddings else 2)
  return copies


def _part_rows(work: Work, split: Split) -> int:
  """Rows of a device in one micro-batch."""
  return -(-work.P // (split.rows * work.parts))
