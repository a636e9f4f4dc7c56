"""Make a target out of some numbers."""

from fractions import Fraction

import numpy as np

from grpo_jax.config import ConfigError, Countdown
from grpo_jax.tasks.apart import in_share, key_of, sub_seed
from grpo_jax.tasks.task import Example, Task, messages

_HELD_OUT_SHARE = 0.2
_HELD_OUT_SEED = 20250104
_DRAWS = 200  # for each problem that is wanted


def make_countdown(config: Countdown) -> Task:
  """Problems that are put together from their solutions; a fifth, by the hash, is held out.

  Raises:
    ConfigError: the question has another placeholder.
  """
  try:
    config.question.format(numbers="1, 2", target=3)
  except (LookupError, ValueError, AttributeError) as error:
    raise ConfigError(
      f"config.task.question={config.question!r}: only {{numbers}} and {{target}} can be filled in"
      f" ({error}); write {{{{ and }}}} for braces"
    ) from error

  def is_held(question: str) -> bool:
    return bool(in_share(key_of(question), _HELD_OUT_SHARE))

  def drawn(seed: int, count: int, held: bool) -> list[Example]:
    rng, found = np.random.default_rng(seed), dict[str, Example]()
    for _ in range(_DRAWS * count):
      example = _problem(config, rng)
      if example is not None and is_held(example.question) == held:
        found.setdefault(example.question, example)
      if len(found) == count:
        break
    return list(found.values())

  def sample(seed: int, step: int, count: int) -> list[Example]:
    examples = drawn(sub_seed(seed, step), count, held=False)
    if not examples:
      raise ConfigError(_too_few(config, count, 0))
    return [examples[row % len(examples)] for row in range(count)]

  def held_out(count: int) -> list[Example]:
    examples = drawn(_HELD_OUT_SEED, count, held=True)
    if len(examples) < count:
      raise ConfigError(f"config.evaluation.problems: {_too_few(config, count, len(examples))}")
    return examples

  return Task(sample, held_out, is_held=is_held, reward=config.reward)


def _too_few(config: Countdown, count: int, found: int) -> str:
  return (
    f"{count} problems are asked for, and only {found} are found whose target is from 1 to"
    f" most={config.most}: raise it, or lower config.task.numbers or .high"
  )


def _problem(config: Countdown, rng: np.random.Generator) -> Example | None:
  """A problem with its solution; None where the draw leads to no target that may be asked."""
  numbers = rng.integers(config.low, config.high + 1, size=config.numbers).tolist()
  parts = [(Fraction(number), str(number)) for number in numbers]
  while len(parts) > 1:
    left, right = (parts.pop(int(rng.integers(len(parts)))) for _ in range(2))
    sign = "+-*/"[int(rng.integers(4))]
    if sign == "/" and not right[0]:
      return None
    values = {"+": left[0] + right[0], "-": left[0] - right[0], "*": left[0] * right[0]}
    value = left[0] / right[0] if sign == "/" else values[sign]
    parts.append((value, f"({left[1]} {sign} {right[1]})"))
  target, text = parts[0]
  if target.denominator != 1 or not 1 <= target <= config.most:
    return None
  solution = text[1:-1]
  question = config.question.format(numbers=", ".join(map(str, numbers)), target=target)
  fields = {"answer": solution, "numbers": numbers, "target": int(target)}
  return Example(messages(config.system, question), fields, solution)
