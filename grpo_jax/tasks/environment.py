"""Environments: what a model writes is answered, until an episode is done.

An episode is a function of its example's fields and of what the model has written so far, and of
nothing else: that is what makes a resumed run exact.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from grpo_jax.config import ConfigError
from grpo_jax.isolated.files import LoadError, load
from grpo_jax.isolated.turns import Turn

__all__ = ["Episode", "FileEpisode", "Turn", "file_environment"]


class Episode(Protocol):
  """One conversation with an environment."""

  def step(self, text: str) -> Turn:
    """What the environment says to the model's turn; called until it is done or cut off."""


@dataclasses.dataclass
class FileEpisode:
  """An episode of a class of one's own, which lives in a worker process.

  A worker may be ended between two turns, so each turn is played from the episode's beginning:
  `said` is what the model has written so far.
  """

  path: str
  name: str
  fields: Mapping[str, Any]
  said: tuple[str, ...] = ()

  def step(self, text: str) -> Turn:
    raise NotImplementedError("run.environments plays these, in worker processes")


def file_environment(place: str) -> Callable[[Any], FileEpisode]:
  """An example -> its episode, for `Task.reset`, of a class in a file.

  The class has reset(fields), and step(text) -> (observation, reward, done), or a Turn.

  Args:
    place: "file.py:Class".

  Raises:
    ConfigError: there is no such class, or it lacks one of the two.
  """
  path, _, name = place.rpartition(":")
  try:
    found = getattr(load(path), name, None)
  except LoadError as error:
    raise ConfigError(f"environment {place!r}: {error}") from error
  lacking = [part for part in ("reset", "step") if not callable(getattr(found, part, None))]
  if not isinstance(found, type) or lacking:
    said = "has no such class" if not isinstance(found, type) else f"has no {lacking[0]}"
    raise ConfigError(
      f"environment {place!r}: {said}: expected a class with reset(fields) and step(text) ->"
      " (observation, reward, done)"
    )
  return lambda example: FileEpisode(path, name, dict(example.fields))
