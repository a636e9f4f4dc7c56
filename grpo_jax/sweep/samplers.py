"""How points are chosen and trials cut short, by name."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.sweep.extra import extra
from grpo_jax.sweep.space import Range

SAMPLERS = ("tpe", "random", "grid", "cma")
PRUNERS = ("none", "median", "hyperband", "ceiling")
_MOST_POINTS = 100_000


def make_sampler(name: str, ranges: Mapping[str, Range]) -> Any:
  """Optuna's sampler; unseeded, for workers with one seed would try the same points.

  Raises:
    ConfigError: the space has no grid, or none of a size that can be listed; CMA has no range.
  """
  with extra("optuna and cmaes"):
    import cmaes  # noqa: F401, optuna asks for it only at the first trial
    import optuna
  if name == "grid":
    return _grid(ranges)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    if name == "tpe":
      return optuna.samplers.TPESampler(constant_liar=True)
    if name == "cma":
      if ranges and all(found.choices for found in ranges.values()):
        raise ConfigError(
          "--sampler=cma moves numbers between two ends, and all of --space are choices: take"
          " another sampler, or log(), uniform(), int()"
        )
      return optuna.samplers.CmaEsSampler(warn_independent_sampling=False)
  return optuna.samplers.RandomSampler()


def grid_size(ranges: Mapping[str, Range]) -> int:
  """How many points the grid has."""
  return math.prod(len(found.grid(path)) for path, found in ranges.items())


def _grid(ranges: Mapping[str, Range]) -> Any:
  if not ranges:
    raise ConfigError("--sampler=grid needs --space: a function cannot be listed")
  if grid_size(ranges) > _MOST_POINTS:
    raise ConfigError(f"--sampler=grid: {grid_size(ranges)} points; {_MOST_POINTS} are the most")
  import optuna

  class Grid(optuna.samplers.GridSampler):
    def after_trial(self, *_: Any) -> None:
      """Optuna would stop the study here, which is for its own loop."""

  # One order for all workers: trial number n is point n.
  return Grid({path: found.grid(path) for path, found in ranges.items()}, seed=0)


def make_pruner(name: str, steps: int) -> Any:
  """Optuna's pruner for runs of `steps` steps in all."""
  with extra("optuna"):
    import optuna
  if name == "median":
    return optuna.pruners.MedianPruner()
  if name == "hyperband":
    return optuna.pruners.HyperbandPruner(min_resource=max(1, steps // 27), max_resource=steps)
  return _ceiling(steps) if name == "ceiling" else optuna.pruners.NopPruner()


def _ceiling(steps: int) -> Any:
  """Cuts a run short whose sigmoid is predicted to end below the best that is known."""
  import optuna

  from grpo_jax.report.sigmoid import predicted_ceiling

  class Ceiling(optuna.pruners.BasePruner):
    def prune(self, study: Any, trial: Any) -> bool:
      done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
      if not done:
        return False
      curve = sorted(trial.intermediate_values.items())
      best = max(other.value for other in done)
      at, values = zip(*curve, strict=True)
      return predicted_ceiling(at, values, best, final=steps)

  return Ceiling()
