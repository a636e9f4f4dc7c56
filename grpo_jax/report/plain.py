"""Runs without a study: those that differ in nothing but the seed are one setting."""

import json
import os
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.report import runs
from grpo_jax.report.found import Found, Setting, lower_is_better, shortened
from grpo_jax.report.interval import half_width

_ABSENT = "-"
_LONGEST = 60


def read(paths: list[str], figure: str, unit: str) -> Found:
  """The settings of the runs in these folders.

  Args:
    paths: run folders, or folders that hold some.
    figure: the objective.
    unit: of compute, as in `runs.curve`.

  Raises:
    ConfigError: no run, or none that has the figure.
  """
  folders = runs.find(paths)
  groups: dict[str, list[str]] = {}
  for folder in folders:
    fields = runs.config(folder)
    fields.pop("seed", None)
    groups.setdefault(json.dumps(fields or folder, sort_keys=True), []).append(folder)
  differing = _differing([_flat(runs.config(own[0])) for own in groups.values()])
  members = list(groups.values())
  names = [_name(params, own[0]) for params, own in zip(differing, members, strict=True)]
  settings = [
    _setting(name if names.count(name) == 1 else f"setting {place}", own, params, figure, unit)
    for place, (name, own, params) in enumerate(zip(names, members, differing, strict=True), 1)
  ]
  if not any(one.curves for one in settings):
    raise ConfigError(f"{paths[0]}: no run has the figure {figure} in its final stage")
  note = "runs without a study have no importances: they were not drawn at random"
  title = os.path.basename(os.path.normpath(os.path.commonpath(list(map(os.path.abspath, paths)))))
  return Found(
    title,
    figure,
    lower_is_better(figure),
    runs.UNITS[unit],
    tuple(settings),
    importances_note=note,
    logarithmic=_far_apart(differing),
  )


def _far_apart(settings: list[dict[str, Any]]) -> frozenset[str]:
  """Fields whose values are positive and span a factor of ten or more."""
  found = set()
  for path in settings[0]:
    values = [fields[path] for fields in settings]
    numbers = all(type(value) in (int, float) and value > 0 for value in values)
    if numbers and max(values) >= 10 * min(values):
      found.add(path)
  return frozenset(found)


def _setting(
  name: str, members: list[str], params: dict[str, Any], figure: str, unit: str
) -> Setting:
  found = {folder: runs.curve(folder, figure, unit) for folder in members}
  curves = {folder: curve for folder, curve in found.items() if curve is not None}
  values = [float(curve.values[-1]) for curve in curves.values()]
  mean = sum(values) / len(values) if values else None
  reason = "" if values else f"no {figure} in its final stage"
  state = {} if values else {"state": "failed"}
  return Setting(
    name, params, value=mean, interval=half_width(values),
    values=tuple(values), curves=curves, reason=reason, folders=tuple(members), **state,
  )  # fmt: skip


def _name(params: dict[str, Any], folder: str) -> str:
  """lr=0.001, group_size=8; the folder where nothing differs or too much does."""
  short = shortened(list(params))
  name = ", ".join(f"{short[path]}={value}" for path, value in params.items())
  return name if name and len(name) <= _LONGEST else os.path.basename(os.path.abspath(folder))


def _differing(all_fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
  """The fields that are not the same in all."""
  paths = list(dict.fromkeys(path for fields in all_fields for path in fields))
  wanted = [
    path for path in paths if len({repr(fields.get(path, _ABSENT)) for fields in all_fields}) > 1
  ]
  return [{path: fields.get(path, _ABSENT) for path in wanted} for fields in all_fields]


def _flat(config: Any, path: str = "") -> dict[str, Any]:
  """Dotted paths and their values; the seed is none of them."""
  if not isinstance(config, dict) or not config:
    return {path: config} if path else {}
  flat: dict[str, Any] = {}
  for name, value in config.items():
    if path or name != "seed":
      flat |= _flat(value, f"{path}.{name}" if path else name)
  return flat
