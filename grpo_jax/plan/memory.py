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
  answers; logits of all answers.
  """
  rows, c = -(-work.P // split.rows), how.size
  answers = rows * work.G
  token = 2 * a.layers * kv_heads(a, split) * a.head_size * c
  return {
    "decode copy of weights": _served(a, how, split),
    "keys, values of prompts": 2 * rows * work.S * token,
    "keys, values of answers": answers * work.T * token,
    "compacted answers": _compacted(rows, work, how) * token,
    "logits": 3 * 4.0 * answers * a.vocab_size / split.tensor,
    "prefill of a layer": rows * work.S * _working(a, how, split),
  }


def _served(a: Architecture, how: How, split: Split) -> float:
  """Weights as decoding reads them; a tied head in float32 is the embedding itself."""
  tables = embedding_parameters(a)
  copied = how.dtype != "float32" or not a.tied_embeddings or split.fsdp > 1
  head = how.size * tables if copied else 0.0
  return (how.size * a.layers * layer_products(a) + head) / split.tensor


def _compacted(rows: int, work: Work, how: How) -> float:
  """Tokens whose keys and values are copied when half of the answers are left."""
  half = rows * work.G // 2
  if (
    not how.compactions or half < 8 or half * (work.S + work.T) > rows * (work.S + work.G * work.T)
  ):
    return 0.0
  return half * (work.S + work.T)


def look_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """A forward pass over one part of the batch at a time."""
  rows = _part_rows(work, split)
  return {
    "layer": rows * work.tokens * _working(a, how, split),
    "scores": _scores(a, rows, work, split),
    "hidden states": 2.0 * how.size * rows * work.headed * a.hidden_size,
    "logits": 2 * 4.0 * _chunk(work, rows, how) * a.vocab_size / split.tensor,
  }


def update_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """One micro-batch forward and backward, and the gradients that they add up to."""
  rows, one = _part_rows(work, split), 4.0 * parameters(a) / split.weights
  decoders = 1 + (work.critic == "separate")
  copies = 1 if work.micro_batches == 1 else 2
  tokens = rows * work.tokens
  return {
    "gradients": decoders * copies * one,
    "gathered layer": _gathered(a, how, split),
    "activations": decoders * tokens * a.layers * kept(a, how, split),
    "layer": tokens * 2 * _working(a, how, split),
    "scores": 3 * _scores(a, rows, work, split),
    "hidden states": 3.0 * how.size * rows * work.headed * a.hidden_size,
    "logits": 3 * 4.0 * _chunk(work, rows, how) * a.vocab_size / split.tensor,
  }


def kept(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token and layer that wait for the backward pass.

  With remat the layer's input alone, D; else the outputs of its products too: query, key, value,
  output, gate and up.
  """
  if how.remat:
    return float(how.size * a.hidden_size)
  inside = (a.heads + 2 * a.kv_heads) * a.head_size + 2 * a.ffn_size
  return how.size * (2 * a.hidden_size + inside / split.tensor)


def _working(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token while a layer is computed."""
  inside = (a.heads + 2 * a.kv_heads) * a.head_size + 2 * a.ffn_size
  return how.size * (2 * a.hidden_size + inside / split.tensor)


def _scores(a: Architecture, rows: int, work: Work, split: Split) -> float:
  """Float32 scores of one block of queries with all that they see."""
  own = work.G * min(work.fed, _BLOCK) * (work.fed + work.S) if work.G else 0
  return 4.0 * rows * a.heads / split.tensor * max(own, min(work.S, _BLOCK) * work.S)


def _gathered(a: Architecture, how: How, split: Split) -> float:
  """What of the weights is whole over fsdp at one time: one layer, the embedding and the head."""
  if split.fsdp == 1 and how.dtype == "float32":
    return 0.0
  tables = embedding_parameters(a) * (1 if a.tied_embeddings else 2)
  return (4.0 * tables + 2 * how.size * layer_parameters(a)) / split.tensor


def _part_rows(work: Work, split: Split) -> int:
  """Rows of a device in one micro-batch."""
  return -(-work.P // (split.rows * work.parts))


def _chunk(work: Work, rows: int, how: How) -> int:
  """Tokens whose logits exist at one time."""
  return min(how.logprob_chunk, rows * work.headed)
