"""The plan of an experiment: what each of its stages computes, holds and takes."""

import dataclasses

from grpo_jax.config import Architecture, Experiment, Model, Stage
from grpo_jax.plan import roofline
from grpo_jax.plan.count import parameters
from grpo_jax.plan.hardware import Topology
from grpo_jax.plan.memory import Memory, stage_memory
from grpo_jax.plan.roofline import How, Phase
from grpo_jax.plan.split import Split, check_rows, make_split
from grpo_jax.plan.work import Work, evaluation_work, stage_work


@dataclasses.dataclass(frozen=True)
class Request:
  """What is planned for.

  architecture: of the policy. prompt_length: S. decoded: decode steps that a rollout is expected to
  take; None is rollout.max_tokens.
  """

  architecture: Architecture
  prompt_length: int
  topology: Topology
  decoded: int | None = None


@dataclasses.dataclass(frozen=True)
class StagePlan:
  """One stage.

  steps: how many. phases: in the order in which a step takes them. memory: of a device.
  """

  name: str
  kind: str
  steps: int
  work: Work
  phases: dict[str, Phase]
  memory: Memory

  @property
  def seconds(self) -> float:
    """Of a step."""
    return sum(phase.seconds for phase in self.phases.values())

  @property
  def flops(self) -> float:
    """Of a step, over all devices."""
    return sum(phase.flops for phase in self.phases.values())


@dataclasses.dataclass(frozen=True)
class Plan:
  """All stages. parameters: of the policy."""

  request: Request
  parameters: int
  split: Split
  how: How
  stages: dict[str, StagePlan]

  @property
  def seconds(self) -> float:
    """Of a step of each stage, together."""
    return sum(stage.seconds for stage in self.stages.values())

  @property
  def peak(self) -> float:
    """Bytes of a device that its busiest stage needs."""
    return max(stage.memory.peak for stage in self.stages.values())

  @property
  def fits(self) -> bool:
    """Whether they are there, as much as `Device.usable` leaves."""
    return self.peak <= self.request.topology.device.usable


def plan(experiment: Experiment, request: Request) -> Plan:
  """Plans every stage.

  Args:
    experiment: checked.
    request: the model and the devices.

  Raises:
    ConfigError: a mesh or a batch that does not fit the devices.
  """
  split = make_split(experiment.parallel, request.topology.count)
  how = how_of(experiment.model)
  stages = {
    name: _stage(name, stage, experiment, request, split, how)
    for name, stage in experiment.stages.items()
  }
  return Plan(request, parameters(request.architecture), split, how, stages)


def how_of(model: Model) -> How:
  """How the config says that a model is computed."""
  return How(model.dtype, model.remat, model.logprob_chunk, model.unroll)


def _stage(
  name: str, stage: Stage, experiment: Experiment, request: Request, split: Split, how: How
) -> StagePlan:
  a, work = request.architecture, stage_work(stage, request.prompt_length, request.decoded)
  check_rows(work, split, name)
  judged = evaluation_work(experiment.evaluation, request.prompt_length)
  on_cpu = request.topology.device.name == "cpu"
  return StagePlan(
    name=name,
    kind=type(stage).__name__,
    steps=stage.steps,
    work=work,
    phases=roofline.phases(a, work, how, split, request.topology),
    memory=stage_memory(a, work, judged, how, split, on_cpu=on_cpu),
  )
