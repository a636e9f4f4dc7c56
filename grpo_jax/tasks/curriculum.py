"""One task at several levels."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grpo_jax.config import ConfigError, Curriculum, Gym, check
from grpo_jax.tasks.apart import apart
from grpo_jax.tasks.gym import gym_levels
from grpo_jax.tasks.task import Example, Ladder, Task


def make_curriculum(config: Curriculum, build: Callable[[Any], Task]) -> Task:
  """The task at its first level, and at any other by `Task.at`.

  What one level holds out no other asks. Held-out questions are of all levels in turn.

  Args:
    config: the task and its levels.
    build: makes a task of its config.

  Raises:
    ConfigError: a level's fields cannot be used; reasoning-gym has no levels of this task; there
      are fewer than `start`.
  """
  configs = _level_configs(config)
  if config.start >= len(configs):
    raise ConfigError(
      f"config.task.start={config.start}: there are {len(configs)} levels, counted from 0"
    )
  levels = []
  for number, level in enumerate(configs):
    check(level, f"config.task.task at level {number}")
    levels.append(build(level))

  def is_held(question: str) -> bool:
    return any(level.is_held(question) for level in levels)

  def held_out(count: int) -> list[Example]:
    sizes = [len(range(place, count, len(levels))) for place in range(len(levels))]
    rows = [level.held_out(size) if size else [] for level, size in zip(levels, sizes, strict=True)]
    turns = [divmod(n, len(levels)) for n in range(count)]
    return [dataclasses.replace(rows[level][row], level=level) for row, level in turns]

  def at(chosen: Mapping[str, int]) -> Task:
    number = chosen[""]
    kept = apart(levels[number].sample, is_held, f"config.task at level {number}")

    def sample(seed: int, step: int, count: int) -> list[Example]:
      return [dataclasses.replace(e, level=number) for e in kept(seed, step, count)]

    return Task(
      sample, held_out, is_held=is_held, reward=levels[0].reward, ladders={"": ladder}, at=at,
      notes=levels[0].notes,
    )  # fmt: skip

  ladder = Ladder(len(levels), config.start, config.window, config.up, config.down)
  return at({"": config.start})


def _level_configs(config: Curriculum) -> list[Any]:
  """The task's config at each level."""
  task = config.task
  if not config.levels:
    assert isinstance(task, Gym)
    return [dataclasses.replace(task, fields=fields) for fields in gym_levels(task)]
  count = len(next(iter(config.levels.values())))
  at = [{name: values[n] for name, values in config.levels.items()} for n in range(count)]
  if isinstance(task, Gym):
    return [dataclasses.replace(task, fields=task.fields | own) for own in at]
  return [dataclasses.replace(task, **own) for own in at]
