"""Figures and samples of a run: JSON lines, one flushed line at a time, and TensorBoard events."""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from typing import Any

from grpo_jax.run.events import Events
from grpo_jax.run.trackers import Trackers


class Writer:
  """Writes WORKDIR/metrics.jsonl, samples.jsonl and tensorboard/.

  A kill loses at most a torn last line. On a resume, what was written after the checkpoint is cut
  off, so that no step stands there twice.

  Args:
    workdir: the run folder.
    stages: the stages' names in order.
    stage, step: the checkpoint's place; None starts the files anew.
  """

  def __init__(
    self,
    workdir: str,
    stages: list[str],
    stage: str | None = None,
    step: int = 0,
  ) -> None:
    self._files, self._failed = {}, False
    for name in ("metrics", "samples"):
      path = os.path.join(workdir, f"{name}.jsonl")
      _cut(path, stages, stage, step)
      self._files[name] = open(path, "a", encoding="utf-8")  # noqa: SIM115, open for the run
    self._events = Events(os.path.join(workdir, "tensorboard"), stages, stage, step)
    self._trackers = Trackers()

  def track(self, trackers: Trackers) -> None:
    """From here on these are given the figures too."""
    self._trackers = trackers

  def write_metrics(self, stage: str, step: int, values: dict[str, float]) -> None:
    """One line: stage, step, then the figures by name; what is not finite is null."""
    figures = {name: finite(values[name]) for name in sorted(values)}
    self._write("metrics", {"stage": stage, "step": step} | figures)
    self._events.write(stage, step, figures)
    self._trackers.write(stage, step, figures)

  def write_samples(self, stage: str, step: int, records: list[dict[str, Any]]) -> None:
    """One line a prompt."""
    for record in records:
      self._write("samples", {"stage": stage, "step": step} | record)

  def samples(self, stage: str) -> Iterator[dict[str, Any]]:
    """The records of a stage that are written already: none, unless the run was resumed."""
    return self._written("samples", stage)

  def metrics(self, stage: str) -> Iterator[dict[str, Any]]:
    """The lines of a stage that are written already."""
    return self._written("metrics", stage)

  def _written(self, name: str, stage: str) -> Iterator[dict[str, Any]]:
    with open(self._files[name].name, encoding="utf-8") as file:
      records = map(json.loads, file)
      yield from (record for record in records if record["stage"] == stage)

  def close(self, *, whole: bool = True) -> None:
    """Waits until all is on disk; `whole`: the run has come to its end."""
    # After a failure what waits to be written would fail again, and hide why.
    with contextlib.suppress(OSError) if self._failed else contextlib.nullcontext():
      for file in self._files.values():
        file.flush()
        os.fsync(file.fileno())
        file.close()
    self._events.close()
    self._trackers.close(whole=whole)

  def _write(self, name: str, line: dict[str, Any]) -> None:
    file = self._files[name]
    try:
      # Lone surrogates, which a model can write, are escaped in ASCII.
      file.write(json.dumps(_plain(line), allow_nan=False) + "\n")
      file.flush()
    except OSError as error:
      self._failed = True
      raise RuntimeError(
        f"{file.name} cannot be written: {error.strerror}: the same command resumes from the newest"
        " checkpoint"
      ) from error


def kept_lines(path: str, stages: list[str], stage: str | None, step: int) -> list[str]:
  """The lines up to a checkpoint's place, without a torn last one."""
  last = (stages.index(stage), step) if stage is not None else (-1, 0)
  if not os.path.exists(path):
    return []
  kept = []
  with open(path, encoding="utf-8", errors="replace") as file:
    for line in file:
      try:
        record = json.loads(line)
      except ValueError:
        break  # torn by a kill: nothing after it can be trusted
      if (stages.index(record["stage"]), record["step"]) <= last:
        kept.append(line.rstrip("\n") + "\n")  # a kill can take the newline alone
  return kept


def _cut(path: str, stages: list[str], stage: str | None, step: int) -> None:
  """Drops what stands after a checkpoint's place."""
  if not os.path.exists(path):
    return
  kept, temporary = kept_lines(path, stages, stage, step), f"{path}.tmp"
  with open(temporary, "w", encoding="utf-8") as file:
    file.writelines(kept)
  os.replace(temporary, path)


def finite(value: float) -> float | None:
  """The value, or None, which JSON has and NaN not."""
  return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _plain(item) for name, item in value.items()}
  if isinstance(value, list):
    return [_plain(item) for item in value]
  return finite(value) if isinstance(value, float) else value
