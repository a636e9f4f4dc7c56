"""Tasks that are environments: what the model writes is answered, and it goes on."""

import dataclasses

from grpo_jax.config.fields import Config, field, lacking, out_of_order


class Game(Config):
  """An environment: what an episode is worth it says itself, as the reward "episode"."""

  @property
  def own_rewards(self) -> tuple[str, ...]:
    """The rewards that "task" stands for: none."""
    return ()


@dataclasses.dataclass(kw_only=True)
class Guess(Game):
  """A number from low to high is to be found; each guess is told "higher" or "lower".

  question: the user's message, with {low} and {high}. system: the system message; empty is none.
  discount: a number found at guess n is worth discount^(n - 1).
  clumsy: share of the guesses to learn from that forget what was said, and are any of the numbers.
  shown: the most guesses of an episode to learn from.
  """

  low: int = field(1, least=0)
  high: int = field(15, least=1)
  question: str = "Guess a number from {low} to {high}."
  system: str = ""
  discount: float = field(1.0, above=0, most=1)
  clumsy: float = field(0.0, least=0, most=1)
  shown: int = field(8, least=1)

  def contradictions(self) -> list[str]:
    return out_of_order(self.low, self.high)


@dataclasses.dataclass(kw_only=True)
class Calculator(Game):
  """Products of two numbers from low to high, and a calculator: =12*34= is answered with 408.

  What has no call is the answer, which is worth 1 where its last number is right.

  question: the user's message, with {a} and {b}. system: the system message; empty is none.
  called: share of the solutions to learn from that call the calculator; the others just answer.
  """

  low: int = field(10, least=0)
  high: int = field(99, least=1)
  question: str = "What is {a} times {b}? Write =1*2= to be told what 1 times 2 is."
  system: str = ""
  called: float = field(1.0, least=0, most=1)

  def contradictions(self) -> list[str]:
    problems = out_of_order(self.low, self.high)
    return problems + lacking("question", self.question, "{a}", "{b}")
