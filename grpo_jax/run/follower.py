"""What a process that is not the first keeps of what the first writes."""

import json
import os
from collections.abc import Iterator
from typing import Any

from grpo_jax.run.writer import Writer, finite, kept_lines


class Follower:
  """The writer of a process that is not the first: it remembers the lines, and writes none.

  Arguments and methods as of `Writer`.
  """

  def __init__(
    self, workdir: str, stages: list[str], stage: str | None = None, step: int = 0
  ) -> None:
    self._workdir, self._place = workdir, (stages, stage, step)
    path = os.path.join(workdir, "metrics.jsonl")
    self._metrics = [json.loads(line) for line in kept_lines(path, *self._place)]

  def write_metrics(self, stage: str, step: int, values: dict[str, float]) -> None:
    figures = {name: finite(value) for name, value in values.items()}
    self._metrics.append({"stage": stage, "step": step} | figures)

  def write_samples(self, stage: str, step: int, records: list[dict[str, Any]]) -> None:
    pass

  def samples(self, stage: str) -> Iterator[dict[str, Any]]:
    records = map(
      json.loads, kept_lines(os.path.join(self._workdir, "samples.jsonl"), *self._place)
    )
    yield from (record for record in records if record["stage"] == stage)

  def metrics(self, stage: str) -> Iterator[dict[str, Any]]:
    yield from (line for line in self._metrics if line["stage"] == stage)

  def close(self, *, whole: bool = True) -> None:
    pass


AnyWriter = Writer | Follower
