"""A run folder as its page needs it."""

import dataclasses
import json
import math
import operator
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grpo_jax.config import Config, ConfigError, Experiment, Stop
from grpo_jax.config.saved import rebuild
from grpo_jax.report.found import best
from grpo_jax.report.lines import Line, is_number, on_one_axis
from grpo_jax.stop import is_over

# Lines of metrics.jsonl -> (stage, step, what was wrong): `run.health.diagnose`.
Diagnose = Callable[[Iterable[Line]], list[tuple[str, int, str]]]


def undiagnosed(_: Iterable[Line]) -> list[tuple[str, int, str]]:
  """Where nobody looks for what is wrong."""
  return []


@dataclasses.dataclass(frozen=True)
class Warned:
  """What was wrong, first seen at a step of a stage, which is at `x` on the axis."""

  stage: str
  step: int
  x: float
  text: str


@dataclasses.dataclass(frozen=True)
class Run:
  """What a run folder holds.

  folder: absolute. written: config.json. config: the experiment, None where this version does not
  know its fields. lines: of metrics.jsonl, with their places. stages: where each begins.
  figure: the held-out score.
  """

  folder: str
  written: dict[str, Any]
  config: Config | None
  lines: list[Line]
  stages: list[tuple[str, float]]
  warnings: list[Warned]
  figure: str

  @property
  def name(self) -> str:
    """The folder's."""
    return os.path.basename(self.folder) or self.folder

  @property
  def command(self) -> str:
    """What has started it; "" where it is not known."""
    began = self.written.get("began")
    return str(began.get("command", "")) if isinstance(began, dict) else ""

  def judged(self) -> list[Line]:
    """The lines that have the held-out score."""
    return [line for line in self.lines if is_number(line.get(self.figure))]

  def best(self) -> Line | None:
    """That with the best held-out score, the last of equals."""
    return best(self.judged(), operator.itemgetter(self.figure), self.figure)

  def done(self) -> list[tuple[str, int, int | None]]:
    """Of each stage the steps done, and those that the config asks for."""
    reached: dict[str, int] = {}
    for line in self.lines:
      reached[line["stage"]] = max(reached.get(line["stage"], 0), line["step"])
    asked = _dict(_dict(self.written.get("config")).get("stages"))
    names = list(dict.fromkeys([*asked, *reached]))
    return [(name, reached.get(name, 0), _dict(asked.get(name)).get("steps")) for name in names]

  def over(self, name: str) -> bool:
    """Whether a stage has ended, if before its steps were done: another follows, or by its rule."""
    own = [line for line in self.lines if line["stage"] == name]
    if own and own[-1] is not self.lines[-1]:
      return True
    stop = self.rule(name)
    if not own or stop is None or stop.figure not in own[-1]:
      return False  # the rule is asked after an evaluation only
    found = [line[stop.figure] for line in own if stop.figure in line and line["step"]]
    return is_over(stop, [value if is_number(value) else math.nan for value in found])

  def rule(self, name: str) -> Stop | None:
    """A stage's stop rule; None where it has none, or it is not known."""
    stages = self.config.stages if isinstance(self.config, Experiment) else {}
    stop = stages[name].stop if name in stages else None
    return stop if stop and (stop.held or stop.patience) else None


def read(folder: str, diagnose: Diagnose = undiagnosed, figure: str = "") -> Run:
  """Reads what there is; torn lines and a config.json that is none are passed over.

  Args:
    folder: the run's.
    diagnose: what is wrong with figures.
    figure: the held-out score; "" for eval/accuracy.

  Raises:
    ConfigError: the run has not the figure that was asked for.
  """
  lines, stages = on_one_axis(os.path.join(folder, "metrics.jsonl"))
  written, starts = _written(os.path.join(folder, "config.json")), dict(stages)
  own = figure or "eval/accuracy"
  if figure and not any(is_number(line.get(figure)) for line in lines):
    raise ConfigError(f"{folder}: no run has the figure {figure}")
  plain = [{name: value for name, value in line.items() if name != "x"} for line in lines]
  warnings = [
    Warned(stage, step, starts[stage] + step, text) for stage, step, text in diagnose(plain)
  ]
  place = os.path.abspath(folder)
  return Run(place, written, _config(written), lines, stages, warnings, own)


def _written(path: str) -> dict[str, Any]:
  try:
    with open(path, encoding="utf-8", errors="replace") as file:
      return _dict(json.load(file))
  except (OSError, ValueError):
    return {}


def _config(written: Mapping[str, Any]) -> Config | None:
  """None of another version's."""
  try:
    made = rebuild(written["config"], written["classes"])
  except (ConfigError, KeyError, TypeError, AttributeError, ValueError):
    return None
  return made if isinstance(made, Config) else None


def _dict(value: Any) -> dict[str, Any]:
  return value if isinstance(value, dict) else {}
