"""Several tasks, one of which is drawn for each prompt."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from grpo_jax.config import Mixture
from grpo_jax.tasks.apart import apart, sub_seed
from grpo_jax.tasks.task import Example, Task


def make_mixture(config: Mixture, build: Callable[[Any], Task]) -> Task:
  """Each prompt's task follows from (seed, step, row); a task has the same rows whoever else asks.

  What one task holds out the others do not ask either. Held-out questions are of all tasks in turn.

  Args:
    config: the tasks.
    build: makes each.

  Raises:
    ConfigError: as of the tasks.
  """
  return _mixed(config, {name: build(task) for name, task in config.tasks.items()})


def _mixed(config: Mixture, tasks: dict[str, Task]) -> Task:
  names = list(tasks)
  weights = np.array([config.weights.get(name, 1.0) for name in names], np.float64)
  bounds = np.cumsum(weights / weights.sum())

  def is_held(question: str) -> bool:
    return any(task.is_held(question) for task in tasks.values())

  own = {
    name: apart(task.sample, is_held, f"config.task.tasks.{name}") for name, task in tasks.items()
  }

  def sample(seed: int, step: int, count: int) -> list[Example]:
    luck = np.random.default_rng([seed, step, 3]).random(count)
    drawn = np.minimum(np.searchsorted(bounds, luck, side="right"), len(names) - 1)
    chosen = [names[index] for index in drawn]
    # As many of each as of all: files are dealt out in steps of one size.
    rows = {name: own[name](sub_seed(seed, name), step, count) for name in set(chosen)}
    return [_named(rows[name][row], name, tasks[name]) for row, name in enumerate(chosen)]

  def held_out(count: int) -> list[Example]:
    sizes = {name: len(range(place, count, len(names))) for place, name in enumerate(names)}
    rows = {name: tasks[name].held_out(size) for name, size in sizes.items() if size}
    turns = [(names[n % len(names)], n // len(names)) for n in range(count)]
    return [_named(rows[name][row], name, tasks[name]) for name, row in turns]

  def at(levels: Mapping[str, int]) -> Task:
    moved = {
      name: task.at({"": levels[name]}) if task.at and name in levels else task
      for name, task in tasks.items()
    }
    return _mixed(config, moved)

  ladders = {name: task.ladders[""] for name, task in tasks.items() if task.ladders}
  notes = tuple(f"{name}: {line}" for name, task in tasks.items() for line in task.notes)
  return Task(
    sample, held_out, is_held=is_held, names=tuple(names), ladders=ladders,
    at=at if ladders else None, notes=notes,
  )  # fmt: skip


def _named(example: Example, name: str, task: Task) -> Example:
  return dataclasses.replace(example, task=name, reward=example.reward or task.reward)
