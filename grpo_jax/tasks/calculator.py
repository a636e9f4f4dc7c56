"""Products that are too large to do in the head, and a calculator to call."""

import dataclasses
import re

from grpo_jax.config import Addition, Calculator
from grpo_jax.rewards.verifiers import number
from grpo_jax.tasks.addition import make_addition
from grpo_jax.tasks.environment import Turn
from grpo_jax.tasks.expression import evaluate
from grpo_jax.tasks.task import Example, Task

# The last call of a turn counts; what is longer is none.
_CALL = re.compile(r"=([^=\n]{1,64})=")


def make_calculator(config: Calculator) -> Task:
  """Pairs of numbers, held out as those of sums are: never in training, in neither order.

  Raises:
    ConfigError: as of `make_addition`.
  """
  pairs = make_addition(
    Addition(low=config.low, high=config.high, question=config.question, system=config.system)
  )
  every = round(1000 * config.called)

  def problem(example: Example) -> Example:
    a, b = example.fields["a"], example.fields["b"]
    answer = str(a * b)
    # Which solutions call is of the numbers, and any share of them is of all sizes.
    calls = (a * 7919 + b * 104729) % 1000 < every
    turns = (f"={a}*{b}=", answer) if calls else (answer,)
    return Example(example.messages, {"answer": answer, "a": a, "b": b}, turns=turns)

  return Task(
    sample=lambda seed, step, count: [problem(e) for e in pairs.sample(seed, step, count)],
    held_out=lambda count: [problem(e) for e in pairs.held_out(count)],
    reset=lambda example: _Calls(str(example.fields["answer"])),
  )


@dataclasses.dataclass
class _Calls:
  """A turn with a call is told its result, one without is the answer."""

  answer: str

  def step(self, text: str) -> Turn:
    calls = _CALL.findall(text)
    if calls:
      return Turn(evaluate(calls[-1]), 0.0, done=False)
    return Turn("", number("", text, {"answer": self.answer}), done=True)
