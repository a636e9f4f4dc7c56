"""A number to be found by guesses that are told "higher" or "lower"."""

import dataclasses

import numpy as np

from grpo_jax.config import ConfigError, Guess
from grpo_jax.rewards.numbers import last_number
from grpo_jax.tasks.environment import Turn
from grpo_jax.tasks.task import Example, Task, messages

# The order of the held-out list is the same in every run.
_HELD_OUT_SEED = 20251125
_MOST_NUMBERS = 10_000


def make_guess(config: Guess) -> Task:
  """Games with any number of the range; held-out ones have each number once.

  Every question is the same and says nothing of the number: there is nothing in it to remember, so
  training may have the numbers of held-out games.

  Raises:
    ConfigError: the question has another placeholder than {low} and {high}, or the range is too
      long; more problems are asked for than there are numbers.
  """
  try:
    question = config.question.format(low=config.low, high=config.high)
  except (LookupError, ValueError, AttributeError) as error:
    raise ConfigError(
      f"config.task.question={config.question!r}: only {{low}} and {{high}} can be filled in"
      f" ({error})"
    ) from error
  size = config.high + 1 - config.low
  if size > _MOST_NUMBERS:
    raise ConfigError(f"config.task.high={config.high}: more than {_MOST_NUMBERS} numbers")
  asked = messages(config.system, question)

  def game(number: int, turns: tuple[str, ...] = ()) -> Example:
    return Example(asked, {"answer": str(number)}, turns=turns)

  def held_out(count: int) -> list[Example]:
    if count > size:
      raise ConfigError(
        f"config.evaluation.problems={count}: there are {size} numbers from {config.low} to"
        f" {config.high}"
      )
    order = np.random.default_rng(_HELD_OUT_SEED).permutation(size)[:count]
    return [game(int(number) + config.low) for number in order]

  def sample(seed: int, step: int, count: int) -> list[Example]:
    rng = np.random.default_rng([seed, step])
    numbers = rng.integers(config.low, config.high + 1, size=count).tolist()
    return [game(number, _shown(config, number, rng)) for number in numbers]

  return Task(
    sample=sample,
    held_out=held_out,
    reset=lambda example: _Game(int(example.fields["answer"]), config.discount),
  )


def _shown(config: Guess, number: int, rng: np.random.Generator) -> tuple[str, ...]:
  """Guesses to learn from: any number that is still possible, or where clumsy any of all."""
  low, high = config.low, config.high
  guesses: list[int] = []
  while len(guesses) < config.shown and (not guesses or guesses[-1] != number):
    clumsy = rng.random() < config.clumsy
    ends = (config.low, config.high) if clumsy else (low, high)
    guess = int(rng.integers(ends[0], ends[1] + 1))
    low, high = (max(low, guess + 1), high) if guess < number else (low, min(high, guess - 1))
    guesses.append(guess)
  return tuple(map(str, guesses))


@dataclasses.dataclass
class _Game:
  """The last number of a turn is the guess; a turn without any is lost."""

  number: int
  discount: float
  worth: float = 1.0

  def step(self, text: str) -> Turn:
    guess = last_number(text)
    if guess == self.number:
      return Turn("", self.worth, done=True)
    self.worth *= self.discount
    if guess is None:
      return Turn("a number", 0.0, done=False)
    return Turn("higher" if guess < self.number else "lower", 0.0, done=False)
