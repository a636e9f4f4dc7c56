"""Run folders: where they are, and the curve of a figure against compute."""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.report.lines import every
from grpo_jax.report.sigmoid import Curve, finite

# How --compute says it, and in words.
UNITS = {"steps": "steps", "seconds": "seconds of training", "answers": "answers sampled"}
_SKIPPED = {"checkpoints", "tensorboard", "profile"}


def find(paths: list[str]) -> list[str]:
  """The run folders that these are, or that are below them.

  Raises:
    ConfigError: a path that is not there or holds no run.
  """
  found = []
  for path in paths:
    if not os.path.isdir(path):
      raise ConfigError(f"{path}: there is no such folder")
    below = sorted(_below(path))
    if not below:
      raise ConfigError(f"{path}: neither a study (study.journal) nor runs (metrics.jsonl) in it")
    found += below
  return list(dict.fromkeys(map(os.path.normpath, found)))


def _below(path: str) -> Iterator[str]:
  for folder, folders, files in os.walk(path):
    folders[:] = [name for name in folders if name not in _SKIPPED]
    if "metrics.jsonl" in files:
      yield folder


def config(folder: str) -> dict[str, Any]:
  """The experiment's fields, from config.json; {} where it cannot be read."""
  try:
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
      read = json.load(file)["config"]
  except (OSError, ValueError, KeyError, TypeError):
    return {}
  return read if isinstance(read, dict) else {}


def curve(folder: str, figure: str, unit: str) -> Curve | None:
  """A figure in the final stage, against the compute of that stage; None where either is not known.

  The first point, at compute 0, is from before the stage: its own step 0, or the last value of the
  stages before it.

  Args:
    folder: the run's.
    figure: as in eval/accuracy.
    unit: "steps", "seconds" (time/step_s, summed) or "answers" (groups/sampled times group_size,
      summed).
  """
  fields = config(folder)
  lines = list(every(os.path.join(folder, "metrics.jsonl")))
  stages = list(fields.get("stages") or {}) or [line["stage"] for line in lines]
  final = stages[-1] if stages else ""
  last = [line for line in lines if line["stage"] == final]
  points = [(line["step"], line[figure]) for line in last if _number(line.get(figure))]
  before = [line[figure] for line in lines if line["stage"] != final and _number(line.get(figure))]
  if before and (not points or points[0][0] > 0):
    points.insert(0, (0, before[-1]))
  if not any(step > 0 for step, _ in points):
    return None
  steps, values = np.array(points, float).T
  found = finite(Curve(_compute(last, steps, unit, fields), values))
  return found if len(found.values) else None


def _compute(last: list[dict], steps: np.ndarray, unit: str, fields: dict) -> np.ndarray:
  """f64[N], what was spent up to each of the steps."""
  if unit == "steps":
    return steps
  name, factor = ("time/step_s", 1) if unit == "seconds" else ("groups/sampled", _group(fields))
  spent = sorted((line["step"], line[name]) for line in last if _number(line.get(name)))
  total = np.concatenate([[0.0], np.cumsum([cost for _, cost in spent])])
  return factor * total[np.searchsorted([step for step, _ in spent], steps, "right")]


def _group(fields: dict[str, Any]) -> float:
  """Answers of a prompt in the final stage; not a number where the config does not say."""
  stages = list((fields.get("stages") or {}).values())
  rollout = stages[-1].get("rollout") if stages else None
  return (rollout or {}).get("group_size", np.nan)


def _number(value: Any) -> bool:
  return isinstance(value, int | float) and bool(np.isfinite(value))
