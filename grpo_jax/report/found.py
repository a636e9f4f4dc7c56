"""What a report is made of, whether it was read from a study or from plain runs."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from grpo_jax.report.sigmoid import Curve

_Item = TypeVar("_Item")
COMPLETE, PRUNED, FAILED, RUNNING = "complete", "pruned", "failed", "running"


@dataclasses.dataclass(frozen=True)
class Setting:
  """A trial of a study, or runs that differ in nothing but the seed.

  Attributes:
    name: as in tables and legends.
    params: config paths and their values.
    state: complete, pruned, failed or running.
    value: the objective; None where there is none.
    interval: half-width of its 95 % interval; None where it is not known.
    values: the objective of each seed.
    curves: of each seed, by its name; the first value is from before training.
    reason: why it was pruned or failed.
    command: what repeats it; "" where it is not known.
    folders: of plain runs, each seed's.
  """

  name: str
  params: dict[str, Any]
  state: str = COMPLETE
  value: float | None = None
  interval: float | None = None
  values: tuple[float, ...] = ()
  curves: dict[str, Curve] = dataclasses.field(default_factory=dict)
  reason: str = ""
  command: str = ""
  folders: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Found:
  """All that was found.

  Attributes:
    title: of the page.
    figure: the objective, as in eval/accuracy.
    lower: whether low is good.
    unit: of compute, in words.
    settings: in the order in which they were tried.
    importances: share of each parameter, the greatest first.
    importances_note: by which method, or why there are none.
    logarithmic: parameters that were searched on a logarithmic scale.
  """

  title: str
  figure: str
  lower: bool
  unit: str
  settings: tuple[Setting, ...]
  importances: dict[str, float] = dataclasses.field(default_factory=dict)
  importances_note: str = ""
  logarithmic: frozenset[str] = frozenset()

  def best_first(self) -> list[Setting]:
    """Those that are complete and have a value."""
    done = [one for one in self.settings if one.state == COMPLETE and one.value is not None]
    return sorted(done, key=lambda one: one.value or 0.0, reverse=not self.lower)

  def short(self) -> dict[str, str]:
    """The last parts of each parameter's path that tell it from the others."""
    paths = sorted({path for one in self.settings for path in one.params})
    return shortened(paths)


def shortened(paths: list[str]) -> dict[str, str]:
  """a.b.lr and a.c.lr are b.lr and c.lr; a lone a.b.lr is lr."""
  short = {}
  for path in paths:
    parts = path.split(".")
    ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
    alone = (end for end in ends if not any(_ends(other, end) for other in paths if other != path))
    short[path] = next(alone, path)
  return short


def _ends(path: str, end: str) -> bool:
  return f".{path}".endswith(f".{end}")


def lower_is_better(figure: str) -> bool:
  """By the figure's name: losses and perplexities."""
  return figure.rpartition("/")[2].rpartition("_")[2] in ("loss", "perplexity")


def best(items: Iterable[_Item], value: Callable[[_Item], float], figure: str) -> _Item | None:
  """That with the best value of a figure; of equals the last, whose checkpoint is that kept."""
  sign = -1 if lower_is_better(figure) else 1
  last_first = reversed(list(items))
  return max(last_first, key=lambda item: sign * value(item), default=None)
