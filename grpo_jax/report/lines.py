"""The lines of metrics.jsonl, and the one axis on which stages stand one after the other."""

import json
import os
from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]


def every(path: str) -> Iterator[Line]:
  """Lines of figures, of a file that is not there none; those that a kill has torn are left out."""
  if not os.path.exists(path):
    return
  with open(path, encoding="utf-8", errors="replace") as file:
    for text in file:
      try:
        line = json.loads(text)
        if isinstance(line["step"], int) and isinstance(line["stage"], str):
          yield line
      except (ValueError, KeyError, TypeError):
        continue


def on_one_axis(path: str) -> tuple[list[Line], list[tuple[str, float]]]:
  """The lines, each with its place `x` on the axis, and where each stage begins."""
  lines = list(every(path))
  boundaries: list[tuple[str, float]] = []
  start = end = 0
  for line in lines:
    if not boundaries or boundaries[-1][0] != line["stage"]:
      start = end
      boundaries.append((line["stage"], start))
    line["x"] = start + line["step"]
    end = max(end, line["x"])
  return lines, boundaries


def series(lines: list[Line], name: str) -> tuple[list[float], list[float]]:
  """Places and values of a figure, where it is known."""
  points = [(line["x"], line[name]) for line in lines if is_number(line.get(name))]
  return [x for x, _ in points], [y for _, y in points]


def is_number(value: Any) -> bool:
  """Whether it is one that can be drawn; true and false are none."""
  return isinstance(value, int | float) and not isinstance(value, bool) and value - value == 0
