"""Seconds of each phase: operations, bytes of memory and bytes between devices, and their limits.

Every phase is the longest of three, which overlap: its operations at the rate that products reach,
its bytes at the bandwidth that reads reach, and the weights that fsdp gathers. Sums over `tensor`
stand between products that need them, so they come on top, as do the gradients of copies. Starting
programs and kernels, and what the host does, are not counted.
"""

import dataclasses

from grpo_jax.config import Architecture
from grpo_jax.plan import flops
from grpo_jax.plan.count import embedding_parameters, layer_products, parameters
from grpo_jax.plan.hardware import Topology
from grpo_jax.plan.split import Split, share
from grpo_jax.plan.work import Work

SIZES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Seconds that a sum over devices takes however few its bytes are.
_LATENCY = 3e-6
# Reads of gradient, moments and parameters, writes of the last three; float32.
_ADAMW = 28
# A float32 score is written and read by the softmax, and its exponential too.
_SCORE = 16


@dataclasses.dataclass(frozen=True)
class How:
  """How a model is computed: the fields of config.Model that cost.

  upcast: products are computed in float32 whatever the type, as XLA does on a CPU.
  """

  dtype: str = "float32"
  remat: bool = True
  logprob_chunk: int = 256
  unroll: int = 1
  upcast: bool = False

  @property
  def size(self) -> int:
    """Bytes of a number of the compute type."""
    return SIZES[self.dtype]

  @property
  def worked(self) -> int:
    """Bytes of a number while products are computed."""
    return SIZES["float32"] if self.upcast else self.size


@dataclasses.dataclass(frozen=True)
class Phase:
  """Seconds of a phase on the busiest device, by what takes them, and its operations.

  flops: over all devices. compute, memory, gather: overlap. sums: come on top.
  """

  name: str
  flops: float
  compute: float
  memory: float
  gather: float
  sums: float

  @property
  def seconds(self) -> float:
    return max(self.compute, self.memory, self.gather) + self.sums

  @property
  def bound(self) -> str:
    """What takes the most of it."""
    overlapped = {"compute": self.compute, "memory": self.memory, "gather": self.gather}
    longest = max(overlapped, key=lambda name: overlapped[name])
    return "sums" if self.sums > overlapped[longest] else longest


def phases(
  a: Architecture, work: Work, how: How, split: Split, topology: Topology
) -> dict[str, Phase]:
  """Every phase of a step, in its order."""
  device = topology.device
  rate = device.flops_float32 if how.dtype == "float32" else device.flops
  found = {}
  for name, operations in flops.phases(a, work, remat=how.remat).items():
    parts = 1 if name in ("prefill", "decode") else work.parts
    own = share(work, split, parts)  # of the busiest device
    own = dataclasses.replace(own, P=own.P * parts)
    mine = flops.phases(a, own, remat=how.remat)[name] / split.tensor
    gathered, summed, times = _between(name, a, own, how, split)
    reached = device.narrow if name == "decode" else device.reached[0]
    found[name] = Phase(
      name,
      flops=operations,
      compute=mine / (rate * reached),
      memory=_read(name, a, own, how, split) / (device.bandwidth * device.reached[1]),
      gather=gathered / topology.link,
      sums=summed / topology.link + times * _LATENCY,
    )
  return found


def _read(name: str, a: Architecture, own: Work, how: How, split: Split) -> float:
  """Bytes that a device reads and writes in a phase: weights, activations, caches, logits."""
  weights = 4.0 * a.layers * layer_products(a) / split.tensor
  if name == "decode":
    return own.decoded * _decode_read(a, own, how, split)
  if name == "prefill":
    own = dataclasses.replace(own, G=0)
  once = own.P * own.tokens * _layer_traffic(a, how, split)
  scores = _SCORE * own.P * own.pairs * a.layers * a.heads / split.tensor
  logits = 0.0
  if name in ("old", "reference", "update"):
    logits = 8.0 * own.P * own.headed * a.vocab_size / split.tensor  # written, read
  if name != "update":
    return weights * (own.parts if name != "prefill" else 1) + once + scores + logits
  epochs, decoders = own.updates / own.minibatches, 1 + (own.critic == "separate")
  passes = 4 if how.remat else 3
  # A micro-batch reads the weights in each pass, and adds to their gradient.
  read = own.parts * (weights * passes + 8.0 * parameters(a) / split.tensor)
  adamw = own.minibatches * _ADAMW * parameters(a) / split.weights
  return epochs * (decoders * (read + passes * once + 5 * scores + adamw) + 4 * logits)


def _decode_read(a: Architecture, own: Work, how: How, split: Split) -> float:
  """Bytes of a decode step: all weights once, the keys and values of prompts and of all T."""
  weights = (a.layers * layer_products(a) + embedding_parameters(a)) / split.tensor
  cache = 2 * a.layers * kv_heads(a, split) * a.head_size * own.P * (own.S + own.G * own.T)
  return how.size * (weights + cache) + 12.0 * own.P * own.G * a.vocab_size / split.tensor


def kv_heads(a: Architecture, split: Split) -> float:
  """Key heads of a device: all of them where `tensor` does not divide their number."""
  return a.kv_heads / split.tensor if a.kv_heads % split.tensor == 0 else a.kv_heads


def _layer_traffic(a: Architecture, how: How, split: Split) -> float:
  """Bytes a token that the layers write and read, each output of a product once."""
  inside = (2 * a.heads + 2 * a.kv_heads) * a.head_size + 3 * a.ffn_size
  return 2.0 * how.size * a.layers * (2 * a.hidden_size + inside / split.tensor)


def _between(
  name: str, a: Architecture, own: Work, how: How, split: Split
) -> tuple[float, float, float]:
  """Bytes that a device receives: of gathered weights and of sums; and the number of sums."""
  weights = 4.0 * parameters(a) / split.tensor
  gather = weights * (split.fsdp - 1) / split.fsdp
  rounds = 2 * a.layers * (split.tensor > 1)  # sums of hidden states, two a layer
  ring = 2.0 * (split.tensor - 1) / split.tensor * how.size * a.hidden_size
  if name == "prefill":  # and the weights once more, as decoding lays them out
    return gather * (1 + how.size / 4), rounds * ring * own.P * own.S, rounds
  if name == "decode":
    times = own.decoded * rounds
    return 0.0, times * ring * own.P * own.G, times
  tokens = own.P * own.tokens
  if name != "update":
    return gather * own.parts, rounds * ring * tokens, rounds * own.parts
  epochs, decoders = own.updates / own.minibatches, 1 + (own.critic == "separate")
  # Forward, backward and the scattered gradient; hidden states and their gradients.
  gathers = 3 * gather * own.parts
  passes = 3 if how.remat else 2
  copies = 2 * 4.0 * parameters(a) / split.weights * (split.copies - 1) / split.copies
  sums = passes * rounds * ring * tokens + own.minibatches * copies
  times = passes * rounds * own.parts + own.minibatches * (split.copies > 1)
  scale = epochs * decoders
  return scale * gathers, scale * sums, scale * times
