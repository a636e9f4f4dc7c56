"""What a stage of any kind is to the loop: a number of steps, a first state, and one step."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from grpo_jax.config import Experiment, Stage
from grpo_jax.isolated.pool import Workers
from grpo_jax.model import Network, adapted
from grpo_jax.parallel import AnyDevices
from grpo_jax.rewards import LearnedReward
from grpo_jax.run.drill import unspoilt
from grpo_jax.run.stopping import no_pause
from grpo_jax.tasks import Task
from grpo_jax.types import Batch, Params, TrainState
from grpo_jax.weights.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Setting:
  """What a stage is run in.

  index: its place among the stages. task: what it asks. workdir: the run folder, where a stage
  leaves files for others. models: reward models that are at hand, by the names of their rewards.
  pause: called with the name of a place, as `drill.PLACES` has them, where a step can be given up;
  raises where the run is asked to stop. spoil: what a drill does to a batch. workers: processes
  that call rewards of one's own.
  """

  experiment: Experiment
  index: int
  network: Network
  tokenizer: Tokenizer
  task: Task
  devices: AnyDevices
  workdir: str = ""
  models: Mapping[str, LearnedReward] = dataclasses.field(default_factory=dict)
  pause: Callable[[str], None] = no_pause
  spoil: Callable[[Batch], Batch] = unspoilt
  workers: Workers | None = None

  @property
  def name(self) -> str:
    """The stage's."""
    return list(self.experiment.stages)[self.index]

  @property
  def earlier(self) -> list[Stage]:
    """The stages before this one."""
    return list(self.experiment.stages.values())[: self.index]

  @property
  def steps_before(self) -> int:
    """Steps of all earlier stages: a later one goes on with the data, and does not begin again."""
    return sum(stage.steps for stage in self.earlier)

  def program(
    self, build: Callable[[Any], Callable], stage: Stage, what: str, donate: tuple[int, ...] = ()
  ) -> Callable:
    """Compiles build(stage) for the setting's devices: what the stage does as `what`."""
    return self.devices.program(build, stage, name=f"{self.name}/{what}", donate=donate)

  def begin(self, files: Any, read: Callable[[Stage], Any]) -> int:
    """The step at which the stage's data begin.

    Files begin with an epoch of their own, but for what earlier stages have read of the same ones;
    a task's data go on.

    Args:
      files: the stage's; None takes the task's data.
      read: a stage -> its files.
    """
    if files is None:
      return self.steps_before
    return sum(stage.steps for stage in self.earlier if read(stage) == files)


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What is told of a step: its figures, and one record a prompt for samples.jsonl.

  batch: what its updates have learned from, whole.
  """

  figures: dict[str, float]
  samples: list[dict[str, Any]]
  batch: Any


# Waits for the device, and tells of the steps that were taken.
Told = Callable[[], list[Outcome]]


def policy_of(state: TrainState) -> Params:
  """The policy as a network takes it, of a state that trains nothing else."""
  return adapted(state.params, state.frozen)


def _nothing() -> None:
  """Where nothing is left to do."""


@dataclasses.dataclass(frozen=True)
class Runner:
  """A stage as the loop sees it.

  steps: how many. init: parameters of the policy -> state. advance: (state, step from 0) -> state
  `stride` steps later, which may still be on its way, and what is told of these steps.
  policy: state -> parameters of the policy; None where the stage trains none, and the next one
    starts where it did.
  judge: state -> held-out figures of the stage's own, named eval/...
  finish: called with what the stage has trained, also of a run that is resumed at the stage's end:
    the same files have to come out.
  close: called when the stage has ended, however.
  exact: whether a run can go on from the state after any step as if it had not stopped there; else
    from those that are always saved.

  States come from `init` unreplicated; all else is given them as `Devices.replicate` makes them.
  """

  steps: int
  init: Callable[[Params], TrainState]
  advance: Callable[[TrainState, int], tuple[TrainState, Told]]
  stride: int = 1
  policy: Callable[[TrainState], Params] | None = policy_of
  judge: Callable[[TrainState], dict[str, float]] | None = None
  finish: Callable[[Params], None] | None = None
  close: Callable[[], None] = _nothing
  exact: bool = True

  def trained(self, state: TrainState) -> Params:
    """What the stage is about: the policy, or where it trains none, all that it does train."""
    return state.params if self.policy is None else self.policy(state)
