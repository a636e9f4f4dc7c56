"""What a stage of any kind is to the loop: a number of steps, a first state, and one step."""

import dataclasses
from collections.abc import Callable
from typing import Any

from grpo_jax.config import Experiment
from grpo_jax.model import Network
from grpo_jax.parallel import Devices
from grpo_jax.tasks import Task
from grpo_jax.types import Params, TrainState
from grpo_jax.weights.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Setting:
  """What a stage is run in. index: its place among the stages."""

  experiment: Experiment
  index: int
  network: Network
  tokenizer: Tokenizer
  task: Task
  devices: Devices

  @property
  def steps_before(self) -> int:
    """Steps of all earlier stages: a later one goes on with the data, and does not begin again."""
    stages = list(self.experiment.stages.values())
    return sum(stage.steps for stage in stages[: self.index])


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What is told of a step: its figures, and one record a prompt for samples.jsonl."""

  figures: dict[str, float]
  samples: list[dict[str, Any]]


# Waits for the device, and tells of the steps that were taken.
Told = Callable[[], list[Outcome]]


@dataclasses.dataclass(frozen=True)
class Runner:
  """steps: how many. init: parameters -> state. advance: (state, step from 0) -> state `stride`
  steps later, which may still be on its way, and what is told of these steps.
  """

  steps: int
  init: Callable[[Params], TrainState]
  advance: Callable[[TrainState, int], tuple[TrainState, Told]]
  stride: int = 1
