"""A config as JSON, and back: plain fields, and beside them which class has each."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from grpo_jax import config as package
from grpo_jax.config.fields import Config, ConfigError, children


def classes(config: Any, path: str = "config") -> dict[str, str]:
  """The name of the class of each config below `path`, by its path."""
  return dict(_classes(config, path))


def _classes(config: Any, path: str) -> Iterator[tuple[str, str]]:
  if isinstance(config, Config):
    yield path, type(config).__name__
  for name, child in children(config).items():
    yield from _classes(child, f"{path}.{name}")


def rebuild(saved: Any, names: Mapping[str, str], path: str = "config") -> Any:
  """The config that `dataclasses.asdict` and `classes` were made of.

  Only classes of `grpo_jax.config` are made, whatever is named.

  Raises:
    ConfigError: a class or a field is not known.
  """
  if isinstance(saved, dict):
    fields = {name: rebuild(value, names, f"{path}.{name}") for name, value in saved.items()}
    return _made(names[path], fields, path) if path in names else fields
  return saved


def _made(name: str, fields: dict[str, Any], path: str) -> Config:
  kind = getattr(package, name, None) if name in package.__all__ else None
  if not (isinstance(kind, type) and issubclass(kind, Config)):
    raise ConfigError(f"{path} is a {name!r}, which this version does not know")
  known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
  if other := fields.keys() - known:
    raise ConfigError(f"{path} has {', '.join(sorted(other))}, which this version does not know")
  hints = typing.get_type_hints(kind)
  return kind(**{key: _typed(value, hints[key]) for key, value in fields.items()})


def _typed(value: Any, hint: Any) -> Any:
  """JSON has no tuples: a list becomes one, also where it is an entry of a dict."""
  if isinstance(value, list):
    return tuple(value)
  if isinstance(value, dict) and typing.get_origin(hint) is dict:
    return {key: _typed(entry, typing.get_args(hint)[1]) for key, entry in value.items()}
  return value
