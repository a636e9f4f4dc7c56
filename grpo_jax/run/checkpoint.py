"""Checkpoints: Orbax, asynchronous, sealed; the newest few and the best by held-out score stay."""

import bisect
import contextlib
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

from grpo_jax.config import Checkpoint, ConfigError
from grpo_jax.parallel import storage
from grpo_jax.run.intact import Sealer, check_folder, reading, writing
from grpo_jax.run.params import PATIENT, is_there, read_params, write_params
from grpo_jax.run.seal import broken
from grpo_jax.run.tolerance import Tolerance
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
    tolerance: what becomes of saves that fail; None stops at the first.
  """

  @_in_turn
  def __init__(
    self,
    workdir: str,
    config: Checkpoint,
    ends: Sequence[int] = (),
    *,
    alone: bool = True,
    tolerance: Tolerance | None = None,
  ):
    best = BestN(
      get_metric_fn=lambda metrics: metrics["accuracy"], n=1, keep_checkpoints_without_metrics=False
    )
    options = ocp.CheckpointManagerOptions(
      preservation_policy=AnyPreservationPolicy([LatestN(config.keep), best, _LastOfEach(ends)]),
      async_options=PATIENT,
    )
    self._workdir, self._alone = os.path.abspath(workdir), alone
    self._sealer, self._tolerance = Sealer(), tolerance or Tolerance()
    self._pending: int | None = None  # the save under way
    self._manager = ocp.CheckpointManager(
      os.path.join(self._workdir, "checkpoints"),
      options=options,
      item_handlers=ocp.StandardCheckpointHandler(),
    )

  @_in_turn
  def save(self, number: int, state: TrainState, accuracy: float | None) -> None:
    """Starts a save and returns.

    Raises:
      RuntimeError: there is no room for it, or the save before it failed.
    """
    saved = storage.storable(changing(state))
    self._finish()
    with self._tolerance.failing(), self._writing(number, saved):
      check_folder(os.path.dirname(self._path(number)))
      metrics = None if accuracy is None else {"accuracy": accuracy}
      self._manager.save(number, args=ocp.args.StandardSave(saved), metrics=metrics, force=True)
      self._sealer.begin(self._path(number))
      self._pending = number
      if not self._alone:
        self._manager.wait_until_finished()

  def _finish(self) -> None:
    """Waits for the save under way, if there is one, and its seal.

    Raises:
      RuntimeError: it has failed.
    """
    number, self._pending = self._pending, None
    if number is None:
      return
    try:
      with self._tolerance.failing(), self._writing(number, None):
        self._manager.wait_until_finished()
        self._manager.check_for_errors()
        self._tolerance.succeeded()
    finally:
      self._sealer.end()  # before a newer one may take its place

  def _writing(self, number: int, tree: Any) -> contextlib.AbstractContextManager[None]:
    unfinished = f"{self._path(number)}.orbax-checkpoint-tmp"
    return writing(self._workdir, f"checkpoint {number}", tree, unfinished)

  def _path(self, number: int) -> str:
    return os.path.join(self._workdir, "checkpoints", str(number))

  def latest(self) -> int | None:
    """The number of the newest complete checkpoint."""
    return self._manager.latest_step()

  def numbers(self) -> list[int]:
    """The numbers of all complete checkpoints."""
    return sorted(self._manager.all_steps())

  @_in_turn
  def restore(self, number: int, like: TrainState) -> TrainState:
    """The state of checkpoint `number` without what is frozen; `like` has its shapes and types.

    Raises:
      ConfigError: it is of another model, or cannot be read.
    """
    with reading(self._path(number)):
      self._check_fit(number, changing(like))
      args = ocp.args.StandardRestore(changing(like))
      return TrainState(**self._manager.restore(number, args=args))

  @_in_turn
  def saved(self, number: int) -> dict[str, Any]:
    """Checkpoint `number` as nested dicts of NumPy arrays, whatever kind of stage it is of.

    Raises:
      ConfigError: a file of it is not as it was written.
    """
    if said := broken(self._path(number)):
      raise ConfigError(f"checkpoint {number} in {self._workdir}: {said}: take another one")
    with reading(self._path(number)):
      saved = self._manager.item_metadata(number).tree
      # Named as NumPy, for the devices that they were on may not be here.
      like = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), saved)
      return self._manager.restore(number, args=ocp.args.StandardRestore(like))

  def _check_fit(self, number: int, like: dict[str, Any]) -> None:
    """Names the first arrays that are not as they should be."""
    found, wanted = _shapes(self._manager.item_metadata(number).tree), _shapes(like)
    names = sorted(found.keys() | wanted.keys())
    other = [n for n in names if found.get(n) != wanted.get(n)]
    if other:
      said = "; ".join(
        f"{n} is {found.get(n, 'not there')}, not {wanted.get(n, 'asked for')}" for n in other[:3]
      )
      raise ConfigError(
        f"checkpoint {number} in {self._workdir} is of another model ({len(other)} arrays differ:"
        f" {said}): nothing was changed; name another --workdir"
      )

  @_in_turn
  def pinned(self, what: str, stage: str, params: Params) -> Params:
    """`params` as they were when `stage` first asked for them, in WORKDIR/what/stage.

    A resumed run has other parameters by then, and gets those of the first time.
    """
    path = os.path.join(self._workdir, what, stage)
    if self.is_pinned(what, stage):
      return read_params(path, params)
    write_params(self._workdir, path, params)
    return jax.tree.map(lambda leaf: leaf.copy(), params)

  def is_pinned(self, what: str, stage: str) -> bool:
    """Whether there is WORKDIR/what/stage."""
    return is_there(os.path.join(self._workdir, what, stage))

  @_in_turn
  def save_best(self, stage: str, params: Params) -> None:
    """Keeps what a stage trains as it was at its best evaluation so far, in WORKDIR/best/stage."""
    write_params(self._workdir, os.path.join(self._workdir, "best", stage), params)

  @_in_turn
  def best(self, stage: str, like: Params) -> Params | None:
    """What `save_best` has kept last; None where no evaluation has given a number."""
    if not self.is_pinned("best", stage):
      return None
    return read_params(os.path.join(self._workdir, "best", stage), like)

  @_in_turn
  def save_bad(self, folder: str, state: TrainState) -> None:
    """Writes what an update changes of a state into FOLDER/state, below the run's."""
    write_params(self._workdir, os.path.join(folder, "state"), changing(state))

  @_in_turn
  def close(self) -> None:
    """Waits for the last save; no run ends well without it.

    Raises:
      RuntimeError: it failed.
    """
    try:
      self._finish()
      self._tolerance.end()
    except BaseException:
      # It would fail again with the same, and hide the line that says why.
      with contextlib.suppress(OSError, ValueError):
        self._manager.close()
      raise
    self._manager.close()


def changing(state: TrainState) -> dict[str, Any]:
  """What updates change: weights that are frozen stay where the stage has pinned them."""
  return {"step": state.step, "params": state.params, "opt_state": state.opt_state}


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
  """Of each array, by its path."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return {jax.tree_util.keystr(path, simple=True, separator="."): x.shape for path, x in leaves}
