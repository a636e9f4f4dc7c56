"""Updates whose loss or gradient was not finite: counted, and what they learned from is kept.

WORKDIR/bad/STAGE/STEP has the batch, the state that it met, and what was told of it, for
`experiments.replay`: of a stage's first such step, and of the one that ends the run.
"""

import dataclasses
import glob
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.parallel import processes, storage
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.stage import Outcome, Setting
from grpo_jax.run.writer import finite
from grpo_jax.types import TrainState

BATCH, NOTE = "batch.npz", "replay.json"


class Bad:
  """Watches the updates of a stage."""

  def __init__(self, setting: Setting, checkpoints: Checkpointer, say: Callable[[str], None]):
    self._setting, self._checkpoints, self._say = setting, checkpoints, say
    self._most = setting.experiment.stages[setting.name].max_nonfinite
    self._folder = os.path.join(setting.workdir, "bad", setting.name)
    self._row = 0  # steps in a row

  def see(self, done: int, outcomes: Sequence[Outcome], state: TrainState, at: int) -> None:
    """Looks at the steps after `done`; `state` is that after step `at`, the last that was taken.

    Raises:
      RuntimeError: too many steps in a row were bad.
    """
    for index, outcome in enumerate(outcomes):
      step, share = done + index + 1, outcome.figures["train/nonfinite"]
      self._row = self._row + 1 if share else 0
      if not share or not (self._row == self._most or self._is_first()):
        continue
      # Skipped updates leave all as it was: then it is still there.
      later = [later.figures["train/nonfinite"] == 1 for later in outcomes[index:]]
      exact = all(later) and at == done + len(outcomes)
      folder = self._keep(step, outcome, state, exact)
      if self._row == self._most:
        raise RuntimeError(self._last_words(step, folder))
      if folder:
        self._say(f"{self._setting.name} step {step}: not finite, skipped: {_command(folder)}")

  def _is_first(self) -> bool:
    kept = glob.glob(os.path.join(glob.escape(self._folder), "*", NOTE))
    return processes.decided(not kept)

  def _keep(self, step: int, outcome: Outcome, state: TrainState, exact: bool) -> str:
    """Writes a folder and returns it; empty where that failed, which is no reason to stop."""
    folder, devices = os.path.join(self._folder, str(step)), self._setting.devices
    stage = self._setting.experiment.stages[self._setting.name]
    number = jnp.int32((step - 1) * (stage.updates // stage.steps))
    met = dataclasses.replace(devices.first(dataclasses.replace(state, frozen=None)), step=number)
    note = {"stage": self._setting.name, "step": step, "exact": exact}
    figures = {name: finite(value) for name, value in outcome.figures.items()}
    try:
      self._checkpoints.save_bad(folder, met)
      _write(folder, outcome.batch, note | {"figures": figures})
    except (OSError, RuntimeError) as error:
      if processes.count() > 1:  # the others wait
        raise
      self._say(f"{folder} could not be written: {error}")
      return ""
    return folder

  def _last_words(self, step: int, folder: str) -> str:
    return (
      f"{self._setting.name} step {step}: the gradient was not finite {self._row} times in a row: a"
      " lower optimizer.lr, or model.dtype='float32', may help; metrics.jsonl shows since when"
      + (f", and which prompts: {_command(folder)}" if folder else "")
    )


def _command(folder: str) -> str:
  return f"python -m experiments.replay {folder}"


def _write(folder: str, batch: Any, note: dict[str, Any]) -> None:
  arrays = storage.fetch(batch)
  if processes.index():
    return
  leaves = {name: np.asarray(leaf) for name, leaf in named(arrays)}
  np.savez(os.path.join(folder, BATCH), **leaves)  # type: ignore[arg-type]
  with open(os.path.join(folder, NOTE), "w", encoding="utf-8") as file:
    json.dump(note, file, indent=2)


def named(tree: Any) -> list[tuple[str, Any]]:
  """The leaves of a batch with the names that they are saved by."""
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in leaves]
