"""Products that are too large to do in the head, and a calculator to call."""

import dataclasses
import re

import numpy as np

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

  def problem(example: Example, calls: bool = True) -> Example:
    a, b = example.fields["a"], example.fields["b"]
    answer = str(a * b)
    turns = (f"={a}*{b}=", answer) if calls else (answer,)
    return Example(example.messages, {"answer": answer, "a": a, "b": b}, turns=turns)

  def sample(seed: int, step: int, count: int) -> list[Example]:
    calls = np.random.default_rng([seed, step, 1]).random(count) < config.called
    examples = pairs.sample(seed, step, count)
    return [problem(e, bool(call)) for e, call in zip(examples, calls, strict=True)]

  return Task(
    sample=sample,
    held_out=lambda count: [problem(example) for example in pairs.held_out(count)],
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
