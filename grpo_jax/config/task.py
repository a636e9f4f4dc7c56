"""What can be asked."""

import dataclasses

from grpo_jax.config.assistant import Assistant
from grpo_jax.config.fields import Config, field
from grpo_jax.config.games import Calculator, Guess


@dataclasses.dataclass(kw_only=True)
class Addition(Config):
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
    problems = []
    if self.low >= self.high:
      problems.append(f"low={self.low} must be below high={self.high}")
    if "{a}" not in self.question or "{b}" not in self.question:
      problems.append(f"question={self.question!r} must contain {{a}} and {{b}}")
    return problems


@dataclasses.dataclass(kw_only=True)
class Questions(Config):
  """Questions and answers in JSONL files, as GSM8K has them.

  question, answer: names of the columns. answer_marker: the answer proper follows its last
  occurrence ("####" in GSM8K); empty takes the whole column.
  """

  train: str = ""
  held_out: str = ""
  question: str = "question"
  answer: str = "answer"
  answer_marker: str = "####"
  system: str = ""

  def contradictions(self) -> list[str]:
    missing = [name for name in ("train", "held_out") if not getattr(self, name)]
    return [f"{name} must name a JSONL file" for name in missing]


Task = Addition | Questions | Assistant | Guess | Calculator
