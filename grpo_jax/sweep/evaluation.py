"""What passes between trials that are asked for and whatever evaluates them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from grpo_jax.sweep.slots import Slot


@dataclasses.dataclass(frozen=True)
class Asked:
  """A trial to be evaluated.

  values: fields by path. folder: of the trial. scores: of seeds that an earlier worker has done.
  """

  number: int
  values: dict[str, Any]
  folder: str
  scores: dict[int, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Report:
  """A score on the way; steps count through all stages of the run."""

  number: int
  step: int
  value: float


@dataclasses.dataclass(frozen=True)
class Scored:
  """The score of one seed."""

  number: int
  seed: int
  value: float


@dataclasses.dataclass(frozen=True)
class Ended:
  """The end of a trial. value: the mean over seeds. reason: why there is none, or empty."""

  number: int
  value: float | None = None
  reason: str = ""
  pruned: bool = False


Event = Report | Scored | Ended


class Evaluation(Protocol):
  """Trials under way, in a process or several."""

  def poll(self) -> list[Event]:
    """What has happened since the last call; never waits."""

  def prune(self, number: int) -> None:
    """Asks a trial to end; its Ended follows, with pruned."""

  def stop(self, at_once: bool = False) -> bool:
    """Asks all to end, to be resumed later; whether they have."""


Runner = Callable[[Sequence[Asked], Slot], Evaluation]
