"""The run folder: one run at a time, one config, written down with what it ran on."""

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import subprocess
from importlib import metadata
from typing import Any

import jax

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.config.saved import classes, rebuild
from grpo_jax.parallel import processes
from grpo_jax.run import typed
from grpo_jax.run.lock import check_writable, take
from grpo_jax.run.own_rewards import sources

# Variables that change what is compiled.
_FLAGS = ("XLA_", "JAX_", "LIBTPU_", "NVIDIA_TF32")
_PACKAGES = ("grpo_jax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def claim(workdir: str, experiment: Experiment) -> Any:
  """Claims the folder for all processes of a run, as its first one finds it; as `_claim`."""
  processes.check_same(repr(experiment), "config")
  with processes.together():
    return _claim(workdir, experiment) if processes.index() == 0 else contextlib.nullcontext()


def _claim(workdir: str, experiment: Experiment) -> Any:
  """Makes the folder, locks it, and writes config.json or compares with the one there.

  Returns:
    The lock; it ends with the process or with close().

  Raises:
    ConfigError: the folder cannot be written, another process runs in it, or it holds a run of
      another config.
  """
  try:
    os.makedirs(workdir, exist_ok=True)
    lock = open(os.path.join(workdir, ".lock"), "a+", encoding="utf-8")  # noqa: SIM115, held
  except OSError as error:
    raise ConfigError(f"--workdir={workdir}: cannot be written: {error.strerror}") from error
  try:
    take(lock, workdir)
    check_writable(workdir)
    _write_or_compare(os.path.join(workdir, "config.json"), workdir, experiment)
  except BaseException:
    lock.close()  # in a notebook the process goes on
    raise
  return lock


def _write_or_compare(path: str, workdir: str, experiment: Experiment) -> None:
  config = json.loads(json.dumps(dataclasses.asdict(experiment)))
  if os.path.exists(path):
    before = _filled(path)
    # Where a run computes is no part of what it is: it may go on elsewhere.
    left, right = map(_what, (before, config))
    changed = sorted(_differences(left, right, "config"))
    # Stages run in their order, which a comparison of dicts does not see.
    orders = list(before.get("stages", {})), list(config["stages"])
    if not changed and orders[0] != orders[1]:
      changed = [f"config.stages was {orders[0]}, now {orders[1]}"]
    if changed:
      raise ConfigError(
        f"--workdir={workdir} holds a run of another config; {'; '.join(changed[:5])}: resume with"
        " the same config, or name another folder"
      )
    return
  temporary = f"{path}.tmp"
  with open(temporary, "w", encoding="utf-8") as file:
    saved: dict[str, Any] = {"config": config, "classes": classes(experiment)}
    own = sources(experiment)
    saved |= {"sources": own} if own else {}
    json.dump(saved | environment() | {"began": _began()}, file, indent=2)
  os.replace(temporary, path)


def _filled(path: str) -> dict[str, Any]:
  """The config of a file; fields that its version did not have are as by default."""
  before = _read(path)
  with contextlib.suppress(ConfigError):  # of a version without classes, or with other fields
    before = dataclasses.asdict(rebuild(before, _read(path, "classes")))
  return dict(json.loads(json.dumps(before)))


def _what(config: dict[str, Any]) -> dict[str, Any]:
  """A config without where it is computed, and what its rewards may take."""
  found = {name: value for name, value in config.items() if name not in ("parallel", "scoring")}
  spread = ("devices", "together")
  members = {k: v for k, v in config.get("population", {}).items() if k not in spread}
  return found | {"population": members}


def check_config(workdir: str, experiment: Experiment) -> None:
  """Compares with the config that a run folder was made with.

  Raises:
    ConfigError: they differ.
  """
  path = os.path.join(workdir, "config.json")
  if os.path.exists(path):
    _write_or_compare(path, workdir, experiment)


def read_config(workdir: str) -> Experiment:
  """The experiment of a run folder.

  Raises:
    ConfigError: there is none, or it is of another version.
  """
  path = os.path.join(workdir, "config.json")
  if not os.path.exists(path):
    raise ConfigError(f"{workdir} is no run folder: it has no config.json")
  names = _read(path, "classes")
  try:
    return rebuild(_read(path), names)
  except ConfigError as error:
    raise ConfigError(f"{path}: {error}") from error


def _read(path: str, what: str = "config") -> dict[str, Any]:
  try:
    with open(path, encoding="utf-8") as file:
      return dict(json.load(file)[what])
  except (OSError, ValueError, TypeError, KeyError) as error:
    raise ConfigError(
      f"{path} cannot be read ({type(error).__name__}: {error}): it was not written by a run; name"
      " another folder"
    ) from error


def environment() -> dict[str, Any]:
  """What can change a run's figures beside its config: versions, devices, the commit."""
  versions = {}
  for name in _PACKAGES:
    try:
      versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
      versions[name] = "not installed"
  return {
    "versions": versions | {"python": platform.python_version()},
    "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
    "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    "flags": {n: v for n, v in sorted(os.environ.items()) if n.startswith(_FLAGS)},
    "git_commit": _commit(),
  }


def _began() -> dict[str, str]:
  """When the run was begun, and by which command."""
  now = datetime.datetime.now(datetime.UTC).isoformat(sep=" ", timespec="seconds")
  return {"time": now, "command": typed.command()}


def moved(workdir: str) -> list[str]:
  """What differs of this process's `environment` from that in which the run began, a line each."""
  with open(os.path.join(workdir, "config.json"), encoding="utf-8") as file:
    before = json.load(file)
  return [
    f"since the run began {line}: figures may differ by rounding"
    for name, now in environment().items()
    if name in before
    for line in _differences(before[name], now, name)
  ]


def rewritten(workdir: str, experiment: Experiment) -> list[str]:
  """What of a notebook's rewards and tasks has another text than as the run began, a line each."""
  with open(os.path.join(workdir, "config.json"), encoding="utf-8") as file:
    before = json.load(file).get("sources", {})
  return [
    f"since the run began {name} was written anew: its figures are of both"
    for name, now in sources(experiment).items()
    if name in before and before[name] != now
  ]


def _commit() -> str:
  folder = os.path.dirname(os.path.abspath(__file__))
  command = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
  try:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
  except (OSError, subprocess.CalledProcessError):
    return "unknown"


def _differences(before: Any, after: Any, path: str) -> list[str]:
  if isinstance(before, dict) and isinstance(after, dict):
    names = sorted(before.keys() | after.keys())
    return [
      line
      for name in names
      for line in _differences(before.get(name), after.get(name), f"{path}.{name}")
    ]
  return [] if before == after else [f"{path} was {before!r}, now {after!r}"]
