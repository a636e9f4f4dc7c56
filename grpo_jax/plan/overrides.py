"""Fields of an experiment set by their paths."""

import copy
from collections.abc import Mapping
from typing import Any

from grpo_jax.config import Experiment, check

# Path of a field below config -> its value.
Overrides = dict[str, Any]


def apply(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
  """A copy with these fields set.

  Raises:
    ConfigError: the result contradicts itself.
  """
  result = copy.deepcopy(experiment)
  for path, value in overrides.items():
    above, _, last = path.rpartition(".")
    object.__setattr__(_field(result, above), last, value)
  check(result)
  return result


def flags(overrides: Mapping[str, Any]) -> str:
  """As they are typed."""
  return " ".join(f"--config.{path}={value}" for path, value in overrides.items())


def changed(experiment: Experiment, overrides: Overrides) -> Overrides:
  """Those that are not as they were."""
  return {path: value for path, value in overrides.items() if _field(experiment, path) != value}


def _field(owner: Any, path: str) -> Any:
  for name in path.split("."):
    owner = owner[name] if isinstance(owner, dict) else getattr(owner, name)
  return owner
