"""Checkpoints: Orbax, asynchronous; the newest few and the best by held-out score are kept."""

import os
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import AnyPreservationPolicy, BestN, LatestN

from grpo_jax.config import Checkpoint
from grpo_jax.parallel import processes, storage
from grpo_jax.types import Params, TrainState


class Checkpointer:
  """Saves and restores the state of a run under WORKDIR/checkpoints.

  A checkpoint's number counts the steps of all stages. All processes call it alike: each writes its
  part of what is split, and the first what all have.
  """

  def __init__(self, workdir: str, config: Checkpoint):
    best = BestN(
      get_metric_fn=lambda metrics: metrics["accuracy"], n=1, keep_checkpoints_without_metrics=False
    )
    options = ocp.CheckpointManagerOptions(
      preservation_policy=AnyPreservationPolicy([LatestN(config.keep), best])
    )
    self._workdir = os.path.abspath(workdir)
    self._manager = ocp.CheckpointManager(
      os.path.join(self._workdir, "checkpoints"), options=options
    )

  def save(self, number: int, state: TrainState, accuracy: float | None) -> None:
    """Starts a save and returns; raises if the save before it failed."""
    self._manager.check_for_errors()
    metrics = None if accuracy is None else {"accuracy": accuracy}
    args = ocp.args.StandardSave(storage.storable(state))
    self._manager.save(number, args=args, metrics=metrics, force=True)

  def latest(self) -> int | None:
    """The number of the newest complete checkpoint."""
    return self._manager.latest_step()

  def numbers(self) -> list[int]:
    """The numbers of all complete checkpoints."""
    return sorted(self._manager.all_steps())

  def restore(self, number: int, like: TrainState) -> TrainState:
    """The state of checkpoint `number`; `like` has its shapes and types."""
    return self._manager.restore(number, args=ocp.args.StandardRestore(like))

  def saved(self, number: int) -> dict[str, Any]:
    """Checkpoint `number` as nested dicts of NumPy arrays, whatever kind of stage it is of."""
    path = self._manager.directory / str(number) / "default"
    saved = dict(ocp.StandardCheckpointHandler().metadata(path))
    # Named as NumPy, for the devices that they were on may not be here.
    like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), saved)
    return self._manager.restore(number, args=ocp.args.StandardRestore(like))

  def pinned(self, what: str, stage: str, params: Params) -> Params:
    """`params` as they were when `stage` first asked for them, in WORKDIR/what/stage.

    A resumed run has other parameters by then, and gets those of the first time.
    """
    path = os.path.join(self._workdir, what, stage)
    with ocp.StandardCheckpointer() as checkpointer:
      if processes.decided(os.path.exists(path)):
        return checkpointer.restore(path, _target(params))
      checkpointer.save(path, storage.storable(params))
    return jax.tree.map(lambda leaf: leaf.copy(), params)

  def save_best(self, stage: str, params: Params) -> None:
    """Keeps the policy of a stage's best evaluation so far, in WORKDIR/best/stage."""
    with ocp.StandardCheckpointer() as checkpointer:
      path = os.path.join(self._workdir, "best", stage)
      checkpointer.save(path, storage.storable(params), force=True)

  def best(self, stage: str, like: Params) -> Params:
    """What `save_best` has kept last."""
    with ocp.StandardCheckpointer() as checkpointer:
      return checkpointer.restore(os.path.join(self._workdir, "best", stage), _target(like))

  def close(self) -> None:
    """Waits for the last save, and raises if it failed: no run ends well without it."""
    self._manager.wait_until_finished()
    self._manager.check_for_errors()
    self._manager.close()


def _target(like: Params) -> Params:
  """As what parameters are read: with the shapes, types and places of these."""
  return storage.readable(jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
