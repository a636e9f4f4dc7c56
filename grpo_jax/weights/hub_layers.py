"""What config.json says of layers one by one: which have a window, which no rotary embedding."""

from collections.abc import Sequence
from typing import Any

from grpo_jax.config import Architecture, ConfigError
from grpo_jax.weights.families import Family

_FULL, _SLIDING = "full_attention", "sliding_attention"


def read_layers(config: dict[str, Any], family: Family) -> dict[str, Any]:
  """sliding_window, global_every and no_rope_every, those of them that a family has.

  Raises:
    ConfigError: layers differ in no pattern that these fields have.
  """
  fields = _read_windows(config, family)
  if "no_rope_every" in family.free:
    fields["no_rope_every"] = _read_no_rope(config)
  return fields


def describe_layers(a: Architecture, family: Family) -> dict[str, Any]:
  """The same, as config.json has it."""
  fields: dict[str, Any] = {}
  numbers = range(1, a.layers + 1)
  if "sliding_window" in family.free:
    fields["sliding_window"] = a.sliding_window or None
  if "global_every" in family.free:
    # Layers that all see everything are each the last of one.
    every = a.global_every if a.sliding_window else 1
    fields["layer_types"] = [_FULL if every and n % every == 0 else _SLIDING for n in numbers]
    fields["sliding_window_pattern"] = every or a.layers + 1
  if "no_rope_every" in family.free:
    every = a.no_rope_every
    fields["no_rope_layers"] = [int(not every or n % every != 0) for n in numbers]
    fields["no_rope_layer_interval"] = every or a.layers + 1
    fields["layer_types"] = [_FULL for _ in numbers]
  return fields


def _read_windows(config: dict[str, Any], family: Family) -> dict[str, Any]:
  types, layers = config.get("layer_types"), config["num_hidden_layers"]
  if "sliding_window" not in family.free:
    if types is not None and any(kind != _FULL for kind in types):
      raise ConfigError(f"layer_types={str(types)[:80]}: only {_FULL!r} is supported")
    return {}
  if types is None and "global_every" in family.free:
    pattern = config.get("sliding_window_pattern") or config["_sliding_window_pattern"]
    if not isinstance(pattern, int) or pattern < 1:
      raise ConfigError(f"sliding_window_pattern={pattern!r} is no number of layers")
    types = [_FULL if n % pattern == 0 else _SLIDING for n in _numbers(layers)]
  if types is not None and len(types) != layers:
    raise ConfigError(f"layer_types has {len(types)} entries for {layers} layers")
  window = config["sliding_window"]
  if types is None:  # all have one, or none has
    return {"sliding_window": window or 0}
  if any(kind not in (_FULL, _SLIDING) for kind in types):
    raise ConfigError(f"layer_types={str(types)[:80]}: only {_FULL!r}, {_SLIDING!r} are supported")
  if _SLIDING not in types:
    return {}
  if not window:
    raise ConfigError(f"layer_types has {_SLIDING!r}, but sliding_window={window!r}")
  return {"sliding_window": window, "global_every": _every("layer_types", types, _FULL)}


def _read_no_rope(config: dict[str, Any]) -> int:
  flags = config.get("no_rope_layers")
  if not flags:
    return config["no_rope_layer_interval"]
  return _every("no_rope_layers", flags[: config["num_hidden_layers"]], 0)


def _every(name: str, values: Sequence[Any], other: Any) -> int:
  """n where every n-th value, and no other, is `other`; 0 where none is."""
  places = [n for n, value in enumerate(values, 1) if value == other]
  if places and places != list(range(places[0], len(values) + 1, places[0])):
    raise ConfigError(f"{name}={str(values)[:80]}: {other!r} is not at every n-th place")
  return places[0] if places else 0


def _numbers(layers: int) -> range:
  """1 to `layers`, so few that a list of them can be made: no file has a million layers."""
  if not isinstance(layers, int) or not 0 < layers < 10**6:
    raise ConfigError(f"num_hidden_layers={layers!r} is no number of layers")
  return range(1, layers + 1)
