"""What a live view knows of a run: filled as the run goes on, and read as it is drawn."""

import collections
import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from grpo_jax.run.live.pace import Pace
from grpo_jax.run.live.rows import chosen, number
from grpo_jax.run.live.series import Series

# Figures that say nothing where they never are another than 0, as with one update a rollout.
_ZERO = ("policy/kl_old", "policy/clip")
# Figures of members that have a column.
_MEMBER = ("reward/mean", "loss/sft", "loss/text", "eval/accuracy", "policy/entropy")
# Warnings that are kept to be shown; all are counted.
_WARNINGS = 50


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of the table: a figure now, its mean of the last 10, and its course over the stage."""

  label: str
  now: str
  recent: str
  course: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Picture:
  """A board as it stands, for a thread that draws it.

  place: of the stage among all, as in 2 of 3; empty where there is one. since: seconds of the clock
  at which the run, and its last step, were. left: seconds. starting: no step of the stage has been
  seen, before which its programs are compiled. warnings: the newest of `warned`. members: by
  number.
  """

  stage: str
  place: str
  step: int
  steps: int
  per_second: float
  left: float
  since: tuple[float, float]
  starting: bool
  rows: tuple[Row, ...]
  sample: Mapping[str, Any] | None
  sample_step: int
  warnings: tuple[str, ...]
  warned: int
  members: Mapping[int, "Member"]


@dataclasses.dataclass(frozen=True)
class Member:
  """A member of a population, with its newest figures."""

  stage: str = ""
  step: int = 0
  steps: int = 0
  figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


class Board:
  """The state of a live view; for one thread at a time.

  Args:
    stages: the names of all.
    now: seconds of the clock.
  """

  def __init__(self, stages: Iterable[str], now: float):
    self._stages, self._began = list(stages), now
    self._warnings: collections.deque[str] = collections.deque(maxlen=_WARNINGS)
    self._warned = 0
    self._members: dict[int, Member] = {}
    self.begin("", 0, 0, (), now)

  def begin(
    self, stage: str, step: int, steps: int, lines: Iterable[Mapping[str, Any]], now: float
  ) -> None:
    """A stage goes on; what was known of the one before is let go."""
    self._stage, self._step, self._steps, self._last = stage, step, steps, now
    self._pace, self._spent = Pace(), math.nan
    self._series: dict[str, Series] = collections.defaultdict(Series)
    self._sample: tuple[int, Mapping[str, Any] | None] = (0, None)
    for line in lines:
      self.see({k: v for k, v in line.items() if k not in ("stage", "step")})

  def see(self, figures: Mapping[str, float | None]) -> None:
    """Figures of a step or an evaluation; None is no value."""
    for name, value in figures.items():
      self._series[name].add(math.nan if value is None else value)
    bounds = [figures.get(f"policy/clip_{side}") for side in ("low", "high")]
    if None not in bounds:
      self._series["policy/clip"].add(sum(map(float, bounds)))  # type: ignore[arg-type]

  def step(
    self,
    stage: str,
    step: int,
    steps: int,
    figures: Mapping[str, float],
    spent: float,
    now: float,
  ) -> None:
    """A step is done, in the stage that has begun, or in that of another member."""
    if stage != self._stage:
      self.begin(stage, step - 1, steps, (), now)
    self._step, self._spent, self._last = step, spent, now
    self._pace.add(now, step)
    self.see(figures)

  def sample(self, step: int, record: Mapping[str, Any]) -> None:
    """The newest prompt with its answers."""
    self._sample = step, record

  def warn(self, line: str) -> None:
    """One more warning."""
    self._warnings.append(line)
    self._warned += 1

  def member(
    self, number: int, stage: str, step: int, steps: int, figures: Mapping[str, float]
  ) -> None:
    """What is new of a member."""
    before = self._members.get(number, Member())
    kept = before.figures if before.stage == stage else {}
    newest = {name: figures[name] for name in _MEMBER if name in figures}
    self._members[number] = Member(stage, step, steps, {**kept, **newest})

  def picture(self) -> Picture:
    """All of it, in what nobody changes."""
    per_second = self._pace.per_second
    left = self._steps - self._step
    known = per_second > 0
    there = [name for name in self._series if name not in _ZERO or any(self._series[name].course)]
    rows = [self._row(*row) for row in chosen(there)]
    at = self._stages.index(self._stage) + 1 if self._stage in self._stages else 0
    return Picture(
      stage=self._stage,
      place=f"stage {at} of {len(self._stages)}" if at and len(self._stages) > 1 else "",
      step=self._step,
      steps=self._steps,
      per_second=per_second if known else 1 / self._spent if self._spent else math.nan,
      left=left / per_second if known else left * self._spent,
      since=(self._began, self._last),
      starting=math.isnan(self._spent),
      rows=tuple(rows),
      sample=self._sample[1],
      sample_step=self._sample[0],
      warnings=tuple(self._warnings),
      warned=self._warned,
      members=dict(sorted(self._members.items())),
    )

  def _row(self, figure: str, label: str, form: str) -> Row:
    series = self._series[figure]
    return Row(label, number(series.now, form), number(series.recent, form), tuple(series.course))
