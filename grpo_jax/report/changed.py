"""What a run was asked for that is not so by default."""

import dataclasses
import re
from typing import Any

from grpo_jax.config import GRPO, PPO, PRESETS, Config
from grpo_jax.config.fields import children

Row = tuple[str, str, str]  # the field's path, its value, what it is by default
NONE = "no default"


def changed(config: Config) -> list[Row]:
  """The fields that differ from their default: those of their class, as far as it has any.

  The fields of an algorithm are compared with the preset that is nearest, see `nearest`.
  """
  return _below("", config, None)


def nearest(stage: GRPO) -> tuple[str, int]:
  """The preset that a stage's algorithm is, or differs from in the fewest fields, and how many.

  Among equals the first in the table, where the project's own comes first.
  """
  counts = {
    name: sum(len(_below(part, getattr(stage, part), preset[part])) for part in preset.keys())  # noqa: SIM118, its own
    for name, preset in PRESETS.items()
  }
  best = min(counts, key=counts.__getitem__)
  return best, counts[best]


def algorithms(config: Any) -> dict[str, tuple[str, int]]:
  """`nearest` of each stage of GRPO, by the stage's name; of PPO there are no presets."""
  return {name: nearest(stage) for name, stage in config.stages.items() if _has_preset(stage)}


def flat(config: Any, path: str = "") -> list[tuple[str, str]]:
  """Every field's path and its value."""
  below = children(config)
  if not below:
    return [(path, shown(config))]
  return [
    row for name, child in below.items() for row in flat(child, f"{path}.{name}" if path else name)
  ]


def typed(command: str) -> set[str]:
  """The paths that a command has set, as --config.PATH=VALUE."""
  return set(re.findall(r"--?(?:no)?config\.([\w.]+)", command))


def shown(value: Any) -> str:
  """As a person would write it."""
  if isinstance(value, float):
    return f"{value:g}"
  if isinstance(value, Config):
    return type(value).__name__
  return value if isinstance(value, str) and value else repr(value)


def _has_preset(stage: Any) -> bool:
  return isinstance(stage, GRPO) and not isinstance(stage, PPO)


def _below(path: str, value: Any, base: Any) -> list[Row]:
  """The rows of a value and of all below it; `base` is what stands there by default."""
  if isinstance(value, Config):
    preset: Any = PRESETS[nearest(value)[0]] if _has_preset(value) else {}  # type: ignore[arg-type]
    rows = []
    for field in dataclasses.fields(value):  # type: ignore[arg-type]
      own = getattr(base, field.name) if type(base) is type(value) else _default(field)
      own = preset[field.name] if field.name in preset.keys() else own  # noqa: SIM118, its own
      rows += _below(_joined(path, field.name), getattr(value, field.name), own)
    return rows
  if isinstance(value, dict) and value and value != base:
    known = base if isinstance(base, dict) else {}
    return [
      row
      for name, child in value.items()
      for row in _below(_joined(path, name), child, known.get(name, dataclasses.MISSING))
    ]
  if value == base:
    return []
  return [(path, shown(value), NONE if base is dataclasses.MISSING else shown(base))]


def _default(field: dataclasses.Field) -> Any:
  if field.default_factory is not dataclasses.MISSING:
    return field.default_factory()
  return field.default


def _joined(path: str, name: str) -> str:
  return f"{path}.{name}" if path else name
