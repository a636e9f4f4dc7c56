"""Parameters in a folder of their own, sealed: references, and what was best."""

import os
import shutil

import jax
import orbax.checkpoint as ocp

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes, storage
from grpo_jax.run.intact import check_folder, writing
from grpo_jax.run.seal import broken, seal
from grpo_jax.types import Params

# Orbax measures how long a save takes by the clock on the wall, which may be set meanwhile: days.
PATIENT = ocp.AsyncOptions(timeout_secs=10**7)
# Of a folder that is being replaced.
_NEW, _OLD = ".new", ".old"


def write_params(workdir: str, path: str, params: Params) -> None:
  """Writes `path`, a folder below the run's; one that is there is replaced.

  Raises:
    RuntimeError: there is no room for it.
  """
  whole, fresh = storage.storable(params), f"{path}{_NEW}"
  room = writing(workdir, os.path.relpath(path, workdir), whole)
  with room, ocp.StandardCheckpointer(async_options=PATIENT) as checkpointer:
    check_folder(os.path.dirname(path))
    checkpointer.save(fresh, whole, force=True)
    checkpointer.wait_until_finished()
    with processes.together():
      if processes.index() == 0:
        seal(fresh)
        _replace(path, fresh)


def _replace(path: str, fresh: str) -> None:
  """Puts one folder in the place of another: at any moment one of the two is there."""
  if os.path.isdir(path):
    shutil.rmtree(f"{path}{_OLD}", ignore_errors=True)
    os.rename(path, f"{path}{_OLD}")
  os.rename(fresh, path)
  shutil.rmtree(f"{path}{_OLD}", ignore_errors=True)


def is_there(path: str) -> bool:
  """Whether `write_params` has written `path`; all processes ask alike."""
  if processes.index() == 0 and not os.path.isdir(path) and os.path.isdir(f"{path}{_OLD}"):
    os.rename(f"{path}{_OLD}", path)  # it was being replaced when the run was killed
  return processes.decided(os.path.isdir(path))


def read_params(path: str, like: Params) -> Params:
  """What `write_params` has written, with the shapes, types and places of `like`.

  Raises:
    ConfigError: a file of it is not as it was written.
  """
  with processes.together():
    if processes.index() == 0 and (said := broken(path)):
      raise ConfigError(f"{path}: {said}: put it back from a copy, or start in another folder")
  target = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
  with ocp.StandardCheckpointer() as checkpointer:
    return checkpointer.restore(path, storage.readable(target))
