"""An Optuna study and the run folders of its trials."""

import math
import os
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.report import runs
from grpo_jax.report.extra import load
from grpo_jax.report.found import COMPLETE, FAILED, PRUNED, RUNNING, Found, Setting
from grpo_jax.report.importance import importances

JOURNAL = "study.journal"
_STATES = {"COMPLETE": COMPLETE, "PRUNED": PRUNED, "FAIL": FAILED}


def read(folder: str, storage: str, name: str, unit: str) -> Found:
  """The study of a sweep.

  Args:
    folder: the sweep's: study.journal, and trials/0007/seed-0 and so on.
    storage: a database's address; "" reads the journal in the folder.
    name: which study, where there are several; "" for the only one.
    unit: of compute, as in `runs.curve`.

  Raises:
    ConfigError: no study, several, or one of several objectives.
  """
  study = open_study(folder, storage, name)
  if len(study.directions) > 1:
    raise ConfigError(f"{folder}: a study of one objective is wanted, this has several")
  figure = study.user_attrs.get("objective", "eval/accuracy")
  trials = study.trials
  shares, note = importances(study)
  logarithmic = {
    path for trial in trials for path, values in trial.distributions.items()
    if getattr(values, "log", False)
  }  # fmt: skip
  return Found(
    title=study.study_name,
    figure=figure,
    lower=study.direction.name == "MINIMIZE",
    unit=runs.UNITS[unit],
    settings=tuple(_setting(trial, folder, figure, unit) for trial in trials),
    importances=shares,
    importances_note=note,
    logarithmic=frozenset(logarithmic),
  )


def open_study(folder: str, storage: str = "", name: str = "") -> Any:
  """The optuna.Study; arguments and errors as of `read`."""
  optuna = load("optuna", "reading a study")
  optuna.logging.set_verbosity(optuna.logging.ERROR)
  place = storage or os.path.join(folder, JOURNAL)
  if not storage and not os.path.isfile(place):
    raise ConfigError(f"{place}: there is no such file")
  _must_exist(storage)
  try:
    opened = storage or optuna.storages.JournalStorage(
      optuna.storages.journal.JournalFileBackend(place)
    )
    names = optuna.get_all_study_names(opened)
    chosen = _chosen(names, name, place)
    return optuna.load_study(study_name=chosen, storage=opened)
  except ConfigError:
    raise
  except Exception as error:  # each kind of database has errors of its own
    said = " ".join(str(error).split())[:200]
    raise ConfigError(f"{place}: cannot be read as a study: {said}") from error


def _must_exist(storage: str) -> None:
  """SQLite would make an empty database of a mistyped name."""
  scheme, _, path = storage.partition(":///")
  path = path.partition("?")[0]
  if scheme.partition("+")[0] == "sqlite" and path and not os.path.isfile(path):
    raise ConfigError(f"--storage={storage}: there is no file {path}")


def _chosen(names: list[str], name: str, place: str) -> str:
  if not names:
    raise ConfigError(f"{place}: there is no study in it")
  if name and name not in names:
    raise ConfigError(f"--study={name}: {place} has {', '.join(sorted(names))}")
  if not name and len(names) > 1:
    raise ConfigError(f"{place} has several studies: --study={'|'.join(sorted(names))}")
  return name or names[0]


def _setting(trial: Any, folder: str, figure: str, unit: str) -> Setting:
  attributes, state = trial.user_attrs, _STATES.get(trial.state.name, RUNNING)
  below = os.path.join(folder, "trials", f"{trial.number:04d}")
  seeds = sorted(os.listdir(below)) if os.path.isdir(below) else []
  curves = {seed: runs.curve(os.path.join(below, seed), figure, unit) for seed in seeds}
  return Setting(
    name=f"trial {trial.number}",
    params=dict(trial.params),
    state=state,
    value=_finite(trial.value) if state == COMPLETE else None,
    interval=_half(attributes.get("interval")),
    values=tuple(attributes.get("scores", {}).values()),
    curves={seed: curve for seed, curve in curves.items() if curve is not None},
    reason=attributes.get("reason") or _last_seen(trial, state),
    command=_again(attributes, folder, trial.number),
  )


def _half(interval: list[float] | None) -> float | None:
  """Half of the width of an interval, which a sweep keeps by its ends."""
  return None if interval is None else (interval[1] - interval[0]) / 2


def _again(attributes: dict[str, Any], folder: str, number: int) -> str:
  """The trial's command, in a folder of its own: in the trial's there is nothing left to do."""
  command, own = attributes.get("command", ""), attributes.get("folder", "")
  other = os.path.join(os.path.abspath(folder), f"best-{number:04d}")
  return command.replace(own, other) if own else command


def _last_seen(trial: Any, state: str) -> str:
  """Where a trial without a reason was pruned."""
  if state == FAILED:
    return "no reason was recorded"
  if state != PRUNED or trial.last_step is None:
    return ""
  return f"at {trial.intermediate_values[trial.last_step]:.4g} after step {trial.last_step}"


def _finite(value: Any) -> float | None:
  return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
