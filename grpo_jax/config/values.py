"""Numbers below a config, by their paths."""

import copy
from collections.abc import Mapping
from typing import Any


def steps_of(path: str) -> list[str]:
  """A path apart at its dots, but for the name of a reward, which may have dots of its own."""
  before, rewards, name = path.partition("rewards.")
  return [*before.split(".")[:-1], "rewards", name] if rewards else path.split(".")


def value_at(config: Any, path: str) -> Any:
  """What stands there."""
  for name in steps_of(path):
    config = config[name] if isinstance(config, dict) else getattr(config, name)
  return config


def with_values(config: Any, values: Mapping[str, Any]) -> Any:
  """A config with other values at some paths, frozen or not: the one that is given stays as it is.

  Nothing is checked: values may be arrays.
  """
  for path, value in values.items():
    config = _with_value(config, steps_of(path), value)
  return config


def _with_value(config: Any, path: list[str], value: Any) -> Any:
  if not path:
    return value
  changed, (name, *below) = copy.copy(config), path
  if isinstance(changed, dict):
    changed[name] = _with_value(config[name], below, value)
  else:
    object.__setattr__(changed, name, _with_value(getattr(config, name), below, value))
  return changed
