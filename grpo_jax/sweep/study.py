"""The study of a sweep: made by its first worker, joined by the others if they ask the same."""

import time
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.point import flat
from grpo_jax.sweep.samplers import make_pruner, make_sampler
from grpo_jax.sweep.search import Search
from grpo_jax.sweep.storage import open_storage

_IDENTITY = "sweep"
_FIRST_WORKER_S = 10.0
_MOST_DIFFERENCES = 5


def identity(options: Options, search: Search) -> dict[str, str]:
  """What all workers of a study must agree on, as text by name."""
  return flat(options.experiment) | {
    "space": search.text,
    "objective": options.objective,
    "direction": options.direction,
    "seeds": str(options.seeds),
  }


def open_study(options: Options, search: Search) -> Any:
  """Makes or joins the study.

  Raises:
    ConfigError: one line: the storage cannot be opened, or holds a sweep of something else.
  """
  import optuna

  storage = open_storage(options.url)
  steps = sum(stage.steps for stage in options.experiment.stages.values())
  parts: dict[str, Any] = {
    "sampler": make_sampler(options.sampler, search.ranges),
    "pruner": make_pruner(options.pruner, steps),
  }
  own = identity(options, search)
  try:
    direction: Any = options.direction
    study = optuna.create_study(
      storage=storage, study_name=options.study, direction=direction, **parts
    )
    study.set_user_attr(_IDENTITY, own)
  except optuna.exceptions.DuplicatedStudyError:
    study = optuna.load_study(storage=storage, study_name=options.study, **parts)
    _compare(study, own, options)
  return study


def _compare(study: Any, own: dict[str, str], options: Options) -> None:
  """Refuses a study of another sweep; one whose maker has died before saying which is ours."""
  until = time.monotonic() + _FIRST_WORKER_S
  while (there := study.user_attrs.get(_IDENTITY)) is None and time.monotonic() < until:
    time.sleep(0.1)
  if there is None:
    study.set_user_attr(_IDENTITY, own)
    return
  changed = [
    f"{name} was {there.get(name)}, now {own.get(name)}"
    for name in sorted(there.keys() | own.keys())
    if there.get(name) != own.get(name)
  ]
  if len(changed) > _MOST_DIFFERENCES:
    changed[_MOST_DIFFERENCES:] = [f"{len(changed) - _MOST_DIFFERENCES} more"]
  if changed:
    raise ConfigError(
      f"study {options.study} of --workdir={options.workdir} is a sweep of something else;"
      f" {'; '.join(changed)}: go on with the same command, or name another --workdir or --study"
    )
