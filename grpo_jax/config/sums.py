"""Sums."""

import dataclasses

from grpo_jax.config.fields import field, lacking, out_of_order
from grpo_jax.config.files import Rewarded


@dataclasses.dataclass(kw_only=True)
class Addition(Rewarded):
  """Sums of two numbers from low to high. Both orders of a held-out pair are kept from training.

  question: the user's message, with {a} and {b}. system: the system message; empty is none.
  padded: share of the solutions to learn from that have a zero before them, as in 042.
  """

  low: int = field(10, least=0)
  high: int = field(99, least=1)
  question: str = "What is {a} + {b}?"
  system: str = ""
  padded: float = field(0.0, least=0, most=1)

  def contradictions(self) -> list[str]:
    problems = out_of_order(self.low, self.high)
    return problems + lacking("question", self.question, "{a}", "{b}")
