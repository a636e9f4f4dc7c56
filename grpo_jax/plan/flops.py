"""Floating-point operations of each phase of a step; a multiplication with its addition is two."""

import dataclasses

from grpo_jax.config import Architecture
from grpo_jax.plan.count import embedding_parameters, layer_products
from grpo_jax.plan.work import Work


@dataclasses.dataclass(frozen=True)
class Pass:
  """Operations of one forward pass: of weights of layers, of attention, of the head."""

  layers: float
  attention: float
  head: float

  @property
  def total(self) -> float:
    return self.layers + self.attention + self.head


def forward(a: Architecture, work: Work) -> Pass:
  """All rows of a step once, forward.

  2 a weight and token; 4 N H a pair of query and key (q k and the weighted sum); 2 V D a token
  whose logits are computed.
  """
  return Pass(
    layers=2.0 * work.P * work.tokens * a.layers * layer_products(a),
    attention=4.0 * work.P * work.pairs * a.layers * a.heads * a.head_size,
    head=2.0 * work.P * work.headed * embedding_parameters(a),
  )


def prefill(a: Architecture, work: Work) -> float:
  """Prompts once, for the whole group; of episodes each again at each later turn."""
  turns = [work, *work.later_turns]
  return sum(forward(a, dataclasses.replace(one, G=0, fed=0, headed=0)).total for one in turns)


def decode_step(a: Architecture, work: Work) -> float:
  """One token for each answer, whose keys of all T positions are multiplied, masked or not."""
  weights = a.layers * layer_products(a) + embedding_parameters(a)
  scores = 2 * a.layers * a.heads * a.head_size * (work.S + work.T)
  return 2.0 * work.P * work.G * (weights + scores)


def update(a: Architecture, work: Work, *, remat: bool) -> float:
  """Forward and backward of all rows, what is recomputed included, once an epoch.

  The backward pass is twice the forward one, of weights that are frozen once. Layers: once more
  with remat. Attention: twice more either way, for its layer and for its own block of scores.
  Logits: once more, by chunks. The products of adapters themselves are left out.
  """
  once, back = forward(a, work), 1 if work.rank else 2
  layers, attention = once.layers * (1 + back + remat), once.attention * 5
  policy = layers + attention + once.head * (2 + back)
  critic = layers + attention if work.critic == "separate" else 0.0
  epochs = work.updates / work.minibatches
  return epochs * (policy + critic)


def phases(a: Architecture, work: Work, *, remat: bool) -> dict[str, float]:
  """Operations a step of every phase that there is, over all devices."""
  once = forward(a, work)
  trunk = once.layers + once.attention
  found = {
    "prefill": prefill(a, work) if work.decoded else 0.0,
    "decode": work.decoded * decode_step(a, work) if work.decoded else 0.0,
    "judges": work.judges * trunk,
    "old": once.total if work.old else 0.0,
    "reference": once.total if work.reference else 0.0,
    "values": trunk if work.critic else 0.0,
    "update": update(a, work, remat=remat),
  }
  return {name: flops for name, flops in found.items() if flops}
