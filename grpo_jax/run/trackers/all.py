"""The trackers of a run: how they begin and are found again, and what becomes of a fault."""

import dataclasses
import importlib
import importlib.util
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.config.fields import unknown_field
from grpo_jax.run.trackers import mlflow, trackio, wandb
from grpo_jax.run.trackers.courier import Courier
from grpo_jax.run.trackers.tracker import About, Begin

# Seconds that the end of a run waits for all trackers together: of one that has come to its end,
# and of one that is stopped or has failed, which may be killed soon.
_PATIENCE, _HASTE = 60.0, 3.0
# Which runs of the trackers a run folder goes on with.
_KNOWN = "trackers.json"
# Folders of a trial's runs, and of a population's.
_ALIKE = re.compile(r"(seed|member)-\d+")
# By the name of the package, which is that of the extra too.
_BEGIN: dict[str, Begin] = {"mlflow": mlflow.Run, "trackio": trackio.Run, "wandb": wandb.Run}


@dataclasses.dataclass(frozen=True)
class Tracking:
  """What is asked for: names of trackers, their project, a group of runs that belong together."""

  names: Sequence[str] = ()
  project: str = "grpo_jax"
  group: str = ""


UNTRACKED = Tracking()


def check_trackers(tracking: Tracking) -> None:
  """Refuses what cannot be begun.

  Raises:
    ConfigError: a tracker that is not known, or not installed.
  """
  for name in tracking.names:
    if name not in _BEGIN:
      raise ConfigError(unknown_field("--tracker", name, _BEGIN).replace("field", "tracker"))
    try:
      importlib.import_module(name)
    except Exception as error:  # not only missing: one of its packages can be of another generation
      said = "" if isinstance(error, ImportError) else f" ({str(error).splitlines()[0]})"
      raise ConfigError(
        f"--tracker={name}: {name} is not installed: pip install 'grpo_jax[{name}]'{said}"
      ) from error


class Trackers:
  """Gives figures to all trackers of a run.

  Args:
    couriers: one for each.
    starts: steps before each stage.
  """

  def __init__(self, couriers: Sequence[Courier] = (), starts: Mapping[str, int] | None = None):
    self._couriers, self._starts = couriers, starts or {}

  def write(self, stage: str, step: int, figures: Mapping[str, float | None]) -> None:
    """A line's figures, named STAGE/FIGURE; those without a value are left out."""
    if not self._couriers:
      return
    named = {f"{stage}/{name}": value for name, value in figures.items() if value is not None}
    for courier in self._couriers:
      courier.send(self._starts[stage] + step, named)

  def close(self, *, whole: bool) -> None:
    """Waits until they have all, or are too late; `whole`: the run has come to its end."""
    deadline = time.monotonic() + (_PATIENCE if whole else _HASTE)
    for courier in self._couriers:
      courier.end(whole=whole)
    for courier in self._couriers:
      courier.wait(deadline)


def start_trackers(
  tracking: Tracking, experiment: Experiment, workdir: str, warn: Callable[[str], None]
) -> Trackers:
  """Begins the trackers that are asked for, or goes on with those that the run folder had.

  warn: takes a line on what fails, now or later, from any thread.
  """
  if not tracking.names:
    return Trackers()
  config = _flat(json.loads(json.dumps(dataclasses.asdict(experiment))))
  about = About(tracking.project, _name(workdir), tracking.group, workdir, config)
  known, couriers = _read(workdir), []
  for name in dict.fromkeys(tracking.names):
    try:
      tracker = _BEGIN[name](about, known.get(name, ""))
    except Exception as error:  # of the network, of the disk, of an account
      said = " ".join(str(error).split()) or type(error).__name__
      warn(f"--tracker={name}: not begun, and the run goes on without: {said}")
      continue
    known[name] = tracker.known
    couriers.append(Courier(name, tracker, warn))
  _write(workdir, known, warn)
  return Trackers(couriers, experiment.steps_before())


def _name(workdir: str) -> str:
  """The folder's, with the one above where many are named alike: 0007/seed-0."""
  above, name = os.path.split(workdir)
  return f"{os.path.basename(above)}/{name}" if _ALIKE.fullmatch(name) else name


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
  """Every field by its path."""
  found: dict[str, Any] = {}
  for name, value in config.items():
    below = isinstance(value, dict) and value
    found |= _flat(value, f"{path}{name}.") if below else {f"{path}{name}": value}
  return found


def _read(workdir: str) -> dict[str, str]:
  try:
    with open(os.path.join(workdir, _KNOWN), encoding="utf-8") as file:
      return dict(json.load(file))
  except (OSError, ValueError):
    return {}


def _write(workdir: str, known: Mapping[str, str], warn: Callable[[str], None]) -> None:
  path = os.path.join(workdir, _KNOWN)
  try:
    with open(f"{path}.tmp", "w", encoding="utf-8") as file:
      json.dump(known, file)
    os.replace(f"{path}.tmp", path)
  except OSError as error:
    warn(f"{path} cannot be written ({error}): a resume begins new runs of trackers")
