"""Tasks of reasoning-gym, by name."""

import difflib
from typing import Any

from grpo_jax.config import ConfigError, Gym
from grpo_jax.config.fields import unknown_field
from grpo_jax.isolated.asked import GymAsked
from grpo_jax.tasks.apart import in_share, key_of, sub_seed
from grpo_jax.tasks.gym_library import ask
from grpo_jax.tasks.task import Example, Task, messages

# This share of all questions, by their hash, is never trained on.
_HELD_OUT_SHARE = 0.2
_HELD_OUT_SEED = 20250103
# Draws for each question that is wanted, and in any case; and how many of them at a time.
_DRAWS, _LEAST_DRAWS, _PART = 40, 400, 2


def make_gym(config: Gym) -> Task:
  """Questions as reasoning-gym makes them; a fifth of all, by the hash of the text, is held out.

  A field "gym" of each example is what the reward "gym" reads.

  Raises:
    ConfigError: reasoning-gym is not installed, has no such task, or refuses the fields.
  """
  _check(config)

  def sample(seed: int, step: int, count: int) -> list[Example]:
    examples = _drawn(config, sub_seed(seed, step), count, held=False)
    if not examples:
      raise ConfigError(f"reasoning-gym's {config.name!r} asks nothing that is not held out")
    # Where there are fewer questions than are asked for, some are asked again.
    return [examples[row % len(examples)] for row in range(count)]

  def held_out(count: int) -> list[Example]:
    examples = _drawn(config, _HELD_OUT_SEED, count, held=True)
    if len(examples) < count:
      raise ConfigError(
        f"config.evaluation.problems={count}: only {len(examples)} different held-out questions of"
        f" reasoning-gym's {config.name!r} were found in {_tries(count)} draws"
      )
    return examples

  return Task(sample, held_out, is_held=_is_held, reward=config.reward)


def gym_levels(config: Gym) -> list[dict[str, Any]]:
  """The fields of each level of a task, as reasoning-gym's own curriculum has them.

  Raises:
    ConfigError: it has none of this task.
  """
  _check(config)
  levels = ask("levels", config.name, dict(config.fields))
  if not levels:
    raise ConfigError(
      f"reasoning-gym has no levels of {config.name!r}: name them, as in"
      " levels={'FIELD': (VALUE, HARDER)}"
    )
  return levels


def _check(config: Gym) -> None:
  """Refuses a task that is not there, and fields that it does not have or take."""
  known = ask("names")
  if config.name not in known:
    near = difflib.get_close_matches(config.name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    raise ConfigError(f"reasoning-gym has no task {config.name!r}: {hint}")
  fields = ask("fields", config.name)
  for name in config.fields:
    if name not in fields:
      raise ConfigError(unknown_field(f"reasoning-gym's {config.name!r}", name, fields))
  if said := ask("refusal", config.name, dict(config.fields)):
    raise ConfigError(f"reasoning-gym's {config.name!r} refuses fields={config.fields}: {said}")


def _is_held(question: str) -> bool:
  return bool(in_share(key_of(question), _HELD_OUT_SHARE))


def _tries(count: int) -> int:
  return _DRAWS * count + _LEAST_DRAWS


def _drawn(config: Gym, seed: int, count: int, *, held: bool) -> list[Example]:
  """At most `count` different ones that are held out or not; fewer where draws find no more."""
  found: dict[str, Example] = {}
  start = 0
  while start < _tries(count) and len(found) < count:
    stop = min(start + _PART * count, _tries(count))
    for drawn in ask("entries", config.name, dict(config.fields), seed, start, stop):
      if _is_held(drawn[0]) == held and len(found) < count:
        found.setdefault(drawn[0], _example(config, *drawn))
    start = stop
  return list(found.values())


def _example(config: Gym, question: str, answer: str, entry: bytes) -> Example:
  asked = GymAsked(config.name, dict(config.fields), entry)
  return Example(messages(config.system, question), {"answer": answer, "gym": asked}, answer)
