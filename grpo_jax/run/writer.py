"""Figures and samples of a run: JSON lines, one flushed line at a time, and TensorBoard events."""

import json
import logging
import math
import os
from typing import Any

_LOG = logging.getLogger(__name__)


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
    self, workdir: str, stages: list[str], stage: str | None = None, step: int = 0
  ) -> None:
    self._stages = stages
    last = (stages.index(stage), step) if stage is not None else (-1, 0)
    self._files = {}
    for name in ("metrics", "samples"):
      path = os.path.join(workdir, f"{name}.jsonl")
      self._cut(path, last)
      self._files[name] = open(path, "a", encoding="utf-8")  # noqa: SIM115, open for the run
    self._events = _Events(os.path.join(workdir, "tensorboard"), stages, stage, step)

  def write_metrics(self, stage: str, step: int, values: dict[str, float]) -> None:
    """One line: stage, step, then the figures by name; what is not finite is null."""
    figures = {name: _finite(values[name]) for name in sorted(values)}
    self._write("metrics", {"stage": stage, "step": step} | figures)
    self._events.write(stage, step, figures)

  def write_samples(self, stage: str, step: int, records: list[dict[str, Any]]) -> None:
    """One line a prompt."""
    for record in records:
      self._write("samples", {"stage": stage, "step": step} | record)

  def close(self) -> None:
    """Waits until all is on disk."""
    for file in self._files.values():
      os.fsync(file.fileno())
      file.close()
    self._events.close()

  def _write(self, name: str, line: dict[str, Any]) -> None:
    # Lone surrogates, which a model can write, are escaped in ASCII.
    self._files[name].write(json.dumps(_plain(line), allow_nan=False) + "\n")
    self._files[name].flush()

  def _cut(self, path: str, last: tuple[int, int]) -> None:
    """Drops what stands after `last`, and a torn last line."""
    if not os.path.exists(path):
      return
    kept = []
    with open(path, encoding="utf-8", errors="replace") as file:
      for line in file:
        try:
          record = json.loads(line)
        except ValueError:
          break  # torn by a kill: nothing after it can be trusted
        if (self._stages.index(record["stage"]), record["step"]) <= last:
          kept.append(line)
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
      file.writelines(kept)
    os.replace(temporary, path)


class _Events:
  """TensorBoard events; a convenience: that it fails is said once and stops nothing."""

  def __init__(self, folder: str, stages: list[str], stage: str | None, step: int) -> None:
    self._writers: dict[str, Any] = {}
    try:
      from tensorboardX import SummaryWriter
    except ImportError:
      _LOG.warning("no TensorBoard events: pip install 'grpo_jax[report]'")
      return
    logging.getLogger("tensorboardX").setLevel(logging.ERROR)
    for index, name in enumerate(stages):
      reached = stages.index(stage) if stage is not None else -1
      # Earlier stages keep all they have; later ones are drawn anew.
      purge = None if index < reached else step + 1 if index == reached else 0
      try:
        self._writers[name] = SummaryWriter(os.path.join(folder, name), purge_step=purge)
      except OSError as error:
        _LOG.warning("no TensorBoard events in %s: %s", folder, error)
        return

  def write(self, stage: str, step: int, figures: dict[str, float | None]) -> None:
    if stage not in self._writers:
      return
    try:
      for name, value in figures.items():
        if value is not None:
          self._writers[stage].add_scalar(name, value, step)
    except OSError as error:
      _LOG.warning("no more TensorBoard events: %s", error)
      self._writers.clear()

  def close(self) -> None:
    for writer in self._writers.values():
      writer.close()


def _finite(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
  if isinstance(value, dict):
    return {name: _plain(item) for name, item in value.items()}
  if isinstance(value, list):
    return [_plain(item) for item in value]
  return _finite(value) if isinstance(value, float) else value
