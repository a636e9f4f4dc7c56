"""What a tracker is to a run, and what it is told of the run as it begins."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True)
class About:
  """A run as a tracker has it.

  project: what it stands in. name: its own. group: of the members of a population; empty for a run
  by itself. folder: of the run. config: every field by its path, as in stages.grpo.steps.
  """

  project: str
  name: str
  group: str
  folder: str
  config: Mapping[str, Any]


class Tracker(Protocol):
  """One run of one tracker. What it raises again and again is told, and the run goes on without.

  known: by which the same run is found again; a name or a number as the tracker has it.
  """

  known: str

  def write(self, step: int, figures: Mapping[str, float]) -> None:
    """Figures after `step` steps of all stages; a step may come twice,
    with other figures, or after a fault with the same."""

  def close(self, *, whole: bool) -> None:
    """Returns when all is sent; `whole`: the run has come to its end."""


# About the run, and `known` of the tracker's run that it goes on with; empty for a new one.
Begin = Callable[[About, str], Tracker]
