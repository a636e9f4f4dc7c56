"""Checkpoints: Orbax, asynchronous; the newest few and the best by held-out score are kept."""

import bisect
import dataclasses
import functools
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import (
  AnyPreservationPolicy,
  BestN,
  LatestN,
  PreservationPolicy,
)

from grpo_jax.config import Checkpoint
from grpo_jax.parallel import processes, storage
from grpo_jax.types import Params, TrainState

# Orbax numbers its operations, for the whole process: members of a population take turns.
_TURN = threading.RLock()
_Method = TypeVar("_Method", bound=Callable[..., Any])


def _in_turn(method: _Method) -> _Method:
  @functools.wraps(method)
  def waiting(*args: Any, **kwargs: Any) -> Any:
    with _TURN:
      return method(*args, **kwargs)

  return cast(_Method, waiting)


@dataclasses.dataclass
class _LastOfEach(PreservationPolicy):
  """Keeps the newest checkpoint of each stage, whose numbers end at `ends`."""

  ends: Sequence[int]

  def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
    newest = {bisect.bisect_left(self.ends, found.step): found.step for found in checkpoints}
    return [bool(self.ends) and found.step in newest.values() for found in checkpoints]


class Checkpointer:
  """Saves and restores the state of a run under WORKDIR/checkpoints.

  A checkpoint's number counts the steps of all stages. All processes call it alike: each writes its
  part of what is split, and the first what all have.

  Args:
    workdir: the run folder.
    config: how many are kept.
    ends: the number that each stage can reach; the last checkpoint of each stays.
    alone: whether no other run of this process saves while a checkpoint is being written.
  """

  @_in_turn
  def __init__(
    self, workdir: str, config: Checkpoint, ends: Sequence[int] = (), *, alone: bool = True
  ):
    best = BestN(
      get_metric_fn=lambda metrics: metrics["accuracy"], n=1, keep_checkpoints_without_metrics=False
    )
    options = ocp.CheckpointManagerOptions(
      preservation_policy=AnyPreservationPolicy([LatestN(config.keep), best, _LastOfEach(ends)])
    )
    self._workdir, self._alone = os.path.abspath(workdir), alone
    self._manager = ocp.CheckpointManager(
      os.path.join(self._workdir, "checkpoints"),
      options=options,
      item_handlers=ocp.StandardCheckpointHandler(),
    )

  @_in_turn
  def save(self, number: int, state: TrainState, accuracy: float | None) -> None:
    """Starts a save and returns; raises if the save before it failed."""
    self._manager.check_for_errors()
    metrics = None if accuracy is None else {"accuracy": accuracy}
    args = ocp.args.StandardSave(storage.storable(_changing(state)))
    self._manager.save(number, args=args, metrics=metrics, force=True)
    if not self._alone:
      self._manager.wait_until_finished()

  def latest(self) -> int | None:
    """The number of the newest complete checkpoint."""
    return self._manager.latest_step()

  def numbers(self) -> list[int]:
    """The numbers of all complete checkpoints."""
    return sorted(self._manager.all_steps())

  @_in_turn
  def restore(self, number: int, like: TrainState) -> TrainState:
    """The state of checkpoint `number` without what is frozen; `like` has its shapes and types."""
    args = ocp.args.StandardRestore(_changing(like))
    return TrainState(**self._manager.restore(number, args=args))

  @_in_turn
  def saved(self, number: int) -> dict[str, Any]:
    """Checkpoint `number` as nested dicts of NumPy arrays, whatever kind of stage it is of."""
    saved = self._manager.item_metadata(number).tree
    # Named as NumPy, for the devices that they were on may not be here.
    like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), saved)
    return self._manager.restore(number, args=ocp.args.StandardRestore(like))

  @_in_turn
  def pinned(self, what: str, stage: str, params: Params) -> Params:
    """`params` as they were when `stage` first asked for them, in WORKDIR/what/stage.

    A resumed run has other parameters by then, and gets those of the first time.
    """
    path = os.path.join(self._workdir, what, stage)
    with ocp.StandardCheckpointer() as checkpointer:
      if self.is_pinned(what, stage):
        return checkpointer.restore(path, _target(params))
      checkpointer.save(path, storage.storable(params))
    return jax.tree.map(lambda leaf: leaf.copy(), params)

  def is_pinned(self, what: str, stage: str) -> bool:
    """Whether there is WORKDIR/what/stage."""
    return processes.decided(os.path.exists(os.path.join(self._workdir, what, stage)))

  @_in_turn
  def save_best(self, stage: str, params: Params) -> None:
    """Keeps what a stage trains as it was at its best evaluation so far, in WORKDIR/best/stage."""
    with ocp.StandardCheckpointer() as checkpointer:
      path = os.path.join(self._workdir, "best", stage)
      checkpointer.save(path, storage.storable(params), force=True)

  @_in_turn
  def best(self, stage: str, like: Params) -> Params | None:
    """What `save_best` has kept last; None where no evaluation has given a number."""
    if not self.is_pinned("best", stage):
      return None
    with ocp.StandardCheckpointer() as checkpointer:
      return checkpointer.restore(os.path.join(self._workdir, "best", stage), _target(like))

  @_in_turn
  def close(self) -> None:
    """Waits for the last save, and raises if it failed: no run ends well without it."""
    self._manager.wait_until_finished()
    self._manager.check_for_errors()
    self._manager.close()


def _changing(state: TrainState) -> dict[str, Any]:
  """What updates change: weights that are frozen stay where the stage has pinned them."""
  return {"step": state.step, "params": state.params, "opt_state": state.opt_state}


def _target(like: Params) -> Params:
  """As what parameters are read: with the shapes, types and places of these."""
  return storage.readable(jax.tree.map(ocp.utils.to_shape_dtype_struct, like))
