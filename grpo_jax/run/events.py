"""TensorBoard events: a convenience, whose failure is told once and stops nothing."""

import logging
import os
import time
from typing import Any

_LOG = logging.getLogger(__name__)


class Events:
  """Writes FOLDER/STAGE/events.*, one event a step, on disk when `write` returns.

  Without the writer of tensorboardX that has a thread: on a full disk the thread dies, and the
  run waits for it for ever.

  Args:
    folder: of all stages, each of which TensorBoard shows as a run.
    stages: the stages' names in order.
    stage, step: where the run goes on; TensorBoard forgets what was drawn after. None: all of it.
  """

  def __init__(self, folder: str, stages: list[str], stage: str | None, step: int) -> None:
    self._writers: dict[str, Any] = {}
    try:
      from tensorboardX import event_file_writer
      from tensorboardX.proto import event_pb2, summary_pb2
    except Exception as error:  # not only missing: protobuf can be of another generation
      said = "" if isinstance(error, ImportError) else f" ({str(error).splitlines()[0]})"
      _LOG.warning("no TensorBoard events: pip install 'grpo_jax[report]'%s", said)
      return
    self._event, self._summary = event_pb2, summary_pb2
    reached = stages.index(stage) if stage is not None else 0
    try:
      # Earlier stages keep what they have; later ones are drawn anew.
      for index, name in enumerate(stages[reached:]):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
        # The suffix parts two starts within one second, which would share a file.
        prefix, suffix = os.path.join(folder, name, "events"), f".{time.time_ns()}"
        self._writers[name] = event_file_writer.EventsWriter(prefix, suffix)
        forgotten_from = step + 1 if index == 0 and stage is not None else 0
        self._start(name, forgotten_from)
    except OSError as error:
      self._give_up(f"no TensorBoard events in {folder}: {error}")

  def write(self, stage: str, step: int, figures: dict[str, float | None]) -> None:
    """One event with all figures of a step; those without a value are left out."""
    if stage not in self._writers:
      return
    value = self._summary.Summary.Value
    values = [value(tag=k, simple_value=v) for k, v in figures.items() if v is not None]
    summary = self._summary.Summary(value=values)
    try:
      self._put(stage, self._event.Event(step=step, wall_time=time.time(), summary=summary))
    except OSError as error:
      self._give_up(f"no more TensorBoard events: {error}")

  def close(self) -> None:
    """Closes the files."""
    self._give_up("")

  def _start(self, stage: str, step: int) -> None:
    """Has TensorBoard forget the events of earlier files from `step` on."""
    log = self._event.SessionLog(status=self._event.SessionLog.START)
    self._put(stage, self._event.Event(step=step, wall_time=time.time(), session_log=log))

  def _put(self, stage: str, event: Any) -> None:
    self._writers[stage].write_event(event)
    self._writers[stage].flush()

  def _give_up(self, line: str) -> None:
    for writer in self._writers.values():
      try:
        writer.close()
      except OSError as error:
        line = line or f"the last TensorBoard events are lost: {error}"
    self._writers.clear()
    if line:
      _LOG.warning(line)
