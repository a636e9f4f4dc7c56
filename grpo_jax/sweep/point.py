"""A point of a search space in an experiment: its fields found, set and checked."""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.config.fields import children, unknown_field

_EVALUATED = (
  *("accuracy", "unscored", "length", "truncated", "loss", "perplexity"),
  *("reward_accuracy", "reward_margin", "reward_loss", "reward_calibration", "reward_length_bias"),
)


def place(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
  """A copy with these fields set, not checked.

  Raises:
    ConfigError: one line on a path that leads nowhere.
  """
  result = copy.deepcopy(experiment)
  for path, value in values.items():
    owner, name = _place(result, path)
    if isinstance(owner, dict):
      owner[name] = value
    else:
      setattr(owner, name, value)
  return result


def _place(config: Any, path: str) -> tuple[Any, str]:
  """The group that a field is in, and its name there."""
  names, so_far = path.split("."), "config"
  for depth, name in enumerate(names):
    known = children(config)
    if config is None:
      raise ConfigError(f"the space: {so_far} is None, so it has no fields")
    if not known:
      raise ConfigError(f"the space: {so_far} is a value, so it has no field {name!r}")
    if name not in known:
      raise ConfigError(f"the space: {unknown_field(so_far, name, known)}")
    if depth == len(names) - 1:
      below = children(known[name])
      if below:
        raise ConfigError(f"the space: {so_far}.{name} is a group: name one of {', '.join(below)}")
      return config, name
    config, so_far = known[name], f"{so_far}.{name}"
  raise AssertionError


def flat(config: Any, path: str = "config") -> dict[str, str]:
  """Every field by its path, as text."""
  below = children(config)
  if not below:
    return {path: repr(config)}
  return {k: v for name in below for k, v in flat(below[name], f"{path}.{name}").items()}


def check_objective(experiment: Experiment, objective: str, pruned: bool) -> None:
  """Refuses a held-out figure that no stage has, and pruning without any before the end.

  Raises:
    ConfigError: one line.
  """
  if not objective.startswith("eval/"):
    return
  known = [f"eval/{name}" for name in (*_EVALUATED, *experiment.evaluation.scores)]
  if objective not in known:
    near = difflib.get_close_matches(objective, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    raise ConfigError(f"--objective={objective}: there is no such figure: {hint}")
  if pruned and not experiment.evaluation.every:
    raise ConfigError(
      "--pruner needs held-out scores before the end: set --config.evaluation.every"
    )
