"""Parameters in a folder of their own, sealed: references, and what was best."""

import os

import jax
import orbax.checkpoint as ocp

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes, storage
from grpo_jax.run.intact import writing
from grpo_jax.run.seal import broken, seal
from grpo_jax.types import Params


def write_params(workdir: str, path: str, params: Params) -> None:
  """Writes `path`, a folder below the run's; one that is there is replaced.

  Raises:
    RuntimeError: there is no room for it.
  """
  whole = storage.storable(params)
  room = writing(workdir, os.path.relpath(path, workdir), whole)
  with room, ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path, whole, force=True)
    checkpointer.wait_until_finished()
  if processes.index() == 0:
    seal(path)


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
