"""Config classes: declared, typed and range-checked fields, frozen once a run starts."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable
from typing import Any

_ALLOWED = "allowed"


class ConfigError(ValueError):
  """A config that cannot be run; the message is one line: the field, its value, what is allowed."""


def field(default: Any, *, above=None, least=None, below=None, most=None, choices=None) -> Any:
  """A dataclass field with its range: above < value < below, least <= value <= most, or choices."""
  allowed = {"above": above, "least": least, "below": below, "most": most, "choices": choices}
  metadata = {_ALLOWED: {name: bound for name, bound in allowed.items() if bound is not None}}
  if callable(default):
    return dataclasses.field(default_factory=default, metadata=metadata)
  return dataclasses.field(default=default, metadata=metadata)


class Config:
  """Base of the config dataclasses: flags may set fields until `freeze`, nothing may after it."""

  def __setattr__(self, name: str, value: Any) -> None:
    if getattr(self, "_frozen", False):
      raise ConfigError(f"{type(self).__name__}.{name} cannot be set: the run has started")
    if name != "_frozen" and name not in self.__dataclass_fields__:  # type: ignore[attr-defined]
      raise ConfigError(unknown_field(type(self).__name__, name, children(self)))
    object.__setattr__(self, name, value)

  def contradictions(self) -> list[str]:
    """Combinations of fields that cannot work, each said in one line; checked after the ranges."""
    return []


def unknown_field(owner: str, name: str, known: Iterable[str]) -> str:
  """One line that says so, and names the nearest known field: lr is that of learning_rate."""
  known, initials = list(known), "".join(word[:1] for word in name.split("_"))
  near = [initials] if initials in known else difflib.get_close_matches(name, known, 1, 0.4)
  hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
  return f"{owner} has no field {name!r}: {hint}"


def out_of_order(low: int, high: int) -> list[str]:
  """A line where a range is none."""
  return [] if low < high else [f"low={low} must be below high={high}"]


def lacking(name: str, text: str, *parts: str) -> list[str]:
  """A line where the text of a field has no place for all that is put into it, as {a}."""
  if all(part in text for part in parts):
    return []
  return [f"{name}={text!r} must contain {' and '.join(parts)}"]


def freeze(config: Any) -> None:
  """Forbids further assignment to `config` and everything in it."""
  for child in children(config).values():
    freeze(child)
  if isinstance(config, Config):
    object.__setattr__(config, "_frozen", True)


def is_on(value: Any) -> bool:
  """Whether what a number switches on is computed: always where it is an array.

  What an array holds is not known when a program is compiled, and may differ among members of a
  population.
  """
  return not isinstance(value, (int, float)) or value != 0


def is_known(*values: Any) -> bool:
  """Whether all are numbers whose range can be looked at: arrays have been before."""
  return all(isinstance(value, (int, float)) for value in values)


def children(config: Any) -> dict[str, Any]:
  """The fields or entries of a config, by name; empty for a plain value."""
  if isinstance(config, Config):
    names = [f.name for f in dataclasses.fields(config)]  # type: ignore[arg-type]
    return {name: getattr(config, name) for name in names}
  return dict(config) if isinstance(config, dict) else {}


def check(config: Any, path: str = "config") -> None:
  """Checks types, ranges and contradictions of `config` and all below it.

  Raises:
    ConfigError: one line that names the field by its flag, its value and what is allowed.
  """
  if isinstance(config, Config):
    hints = typing.get_type_hints(type(config))
    for f in dataclasses.fields(config):  # type: ignore[arg-type]
      _check_field(f"{path}.{f.name}", getattr(config, f.name), hints[f.name], f.metadata)
  for name, child in children(config).items():
    check(child, f"{path}.{name}")
    if isinstance(config, dict):
      _check_field(f"{path}.{name}", child, Any, {})
  if isinstance(config, Config):
    for problem in config.contradictions():
      raise ConfigError(f"{path}: {problem}")


def _check_field(path: str, value: Any, hint: Any, metadata: Any) -> None:
  if not _has_type(value, hint):
    name = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{path}={value!r}: expected {name}, got {type(value).__name__}")
  if isinstance(value, float) and not math.isfinite(value):
    raise ConfigError(f"{path}={value!r}: must be a finite number")
  allowed = metadata.get(_ALLOWED, {})
  tests = {
    "above": lambda bound: value > bound,
    "least": lambda bound: value >= bound,
    "below": lambda bound: value < bound,
    "most": lambda bound: value <= bound,
    "choices": lambda bound: value in bound,
  }
  signs = {"above": ">", "least": ">=", "below": "<", "most": "<=", "choices": "one of"}
  if not all(tests[name](bound) for name, bound in allowed.items()):
    wanted = " and ".join(f"{signs[name]} {bound}" for name, bound in allowed.items())
    raise ConfigError(f"{path}={value!r}: must be {wanted}")


def _has_type(value: Any, hint: Any) -> bool:
  origin, args = typing.get_origin(hint), typing.get_args(hint)
  if origin in (types.UnionType, typing.Union):
    return any(_has_type(value, arg) for arg in args)
  if origin is dict:
    return isinstance(value, dict) and all(
      _has_type(k, args[0]) and _has_type(v, args[1]) for k, v in value.items()
    )
  if origin is tuple:
    return isinstance(value, tuple) and all(_has_type(v, args[0]) for v in value)
  if hint is Any:
    return True
  if hint is float:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
  if hint is int:
    return isinstance(value, int) and not isinstance(value, bool)
  return isinstance(value, hint)
