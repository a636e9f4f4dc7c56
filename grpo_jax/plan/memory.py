"""Bytes of one device, by part: what is always there, and what each program adds while it runs."""

import dataclasses
from collections.abc import Mapping

from grpo_jax.config import Architecture
from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.count import adapter_parameters, parameters
from grpo_jax.plan.roofline import How, kv_heads
from grpo_jax.plan.rooms import (
  LOGITS,
  backward,
  headed,
  kept,
  layer_weights,
  served,
  tables,
  working,
)
from grpo_jax.plan.split import Split, share
from grpo_jax.plan.work import Work

# A process on a CPU, measured with models of a few thousand parameters: Python, JAX and tokenizers;
# and what the compiler keeps, which is not there where all programs come from the cache.
_PROCESS, _COMPILER = 0.55e9, 0.4e9

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
  programs = {"evaluation": rollout_parts(a, _longest(judged), how, split)}
  if work.decoded:
    programs["rollout"] = rollout_parts(a, work, how, split)
  if work.later:
    programs["turn"] = rollout_parts(a, _longest(work), how, split)
  if work.old or work.reference:
    programs["look"] = look_parts(a, work, how, split)
  programs["update"] = update_parts(a, work, how, split)
  return Memory(state_parts(a, work, split, on_cpu=on_cpu), programs)


def _longest(work: Work) -> Work:
  """The last turn of episodes, or the only one."""
  return [work, *work.later_turns][-1]


def state_parts(a: Architecture, work: Work, split: Split, *, on_cpu: bool) -> Parts:
  """Float32 weights, two moments of what is trained, and the models beside that are only read."""
  one, trained = 4.0 * parameters(a) / split.weights, _trained(a, work, split)
  found = {
    "process": _PROCESS if on_cpu else 0.0,
    "compiler": _COMPILER if on_cpu else 0.0,
    "weights": one,
    "adapters": trained if work.rank else 0.0,
    "moments": work.moments / 4 * trained,
    "reference": work.reference_bytes / 4 * one if work.reference and not work.on_host else 0.0,
    "critic, its moments": 3 * one if work.critic == "separate" else 0.0,
    "reward models": one * work.judges,
    "policy beside": one if work.beside else 0.0,
  }
  return {name: size for name, size in found.items() if size}


def _trained(a: Architecture, work: Work, split: Split) -> float:
  """Bytes of the float32 parameters that have a gradient; adapters are whole on each device."""
  if work.rank:
    return 4.0 * adapter_parameters(a, work.rank, work.targets)
  return 4.0 * parameters(a) / split.weights


def rollout_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """Prefill and decode.

  A copy of the weights laid out for decoding, whole over fsdp; keys and values of prompts and
  answers, which a compaction halves layer by layer; logits of all answers.
  """
  work = share(work, split)
  rows, answers = work.P, work.P * work.G
  token = 2 * a.layers * kv_heads(a, split) * a.head_size * how.size
  return {
    "decode copy of weights": served(a, how, split),
    "layers' weights": layer_weights(a, how, split),
    "keys, values of prompts": rows * work.S * token,
    "keys, values of answers": answers * work.T * token,
    "prefill of a layer, or logits": max(
      rows * work.S * working(a, how, split),
      LOGITS * 4.0 * answers * a.vocab_size / split.tensor,
    ),
  }


def look_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """A forward pass over one part of the batch at a time."""
  work = share(work, split, work.parts)
  rows = work.P
  sent = work.reference_bytes * parameters(a) / split.weights
  return ({"reference, sent over": sent} if work.on_host else {}) | {
    "layers' weights": layer_weights(a, how, split),
    "gathered tables": tables(a, how, split),
    "a layer, or logits": max(
      rows * work.tokens * working(a, how, split), headed(a, rows, work, how, split, passes=1)
    ),
  }


def update_parts(a: Architecture, work: Work, how: How, split: Split) -> Parts:
  """One micro-batch forward and backward, and the gradients that they add up to."""
  work, one = share(work, split, work.parts), _trained(a, work, split)
  rows = work.P
  decoders = 1 + (work.critic == "separate")
  copies = 1 if work.micro_batches == 1 else 2
  tokens = rows * work.tokens
  return {
    "gradients": decoders * copies * one,
    "layers' weights": layer_weights(a, how, split),
    "gathered tables": tables(a, how, split),
    "activations": decoders * tokens * a.layers * kept(a, how, split),
    "a layer, or logits": max(
      backward(a, rows, work, how, split), headed(a, rows, work, how, split, passes=3)
    ),
  }
