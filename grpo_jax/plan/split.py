"""How devices share a step."""

import dataclasses

from grpo_jax.config import ConfigError, Parallel
from grpo_jax.parallel.rules import cuts
from grpo_jax.plan.work import Work


@dataclasses.dataclass(frozen=True)
class Split:
  """How devices share the work.

  rows: parts that prompts are split into. fsdp, tensor: parts that weights are split into; those
  of a layer that is computed are gathered over fsdp. copies: devices that hold the same weights.
  cuts: whether groups are split too, where there are fewer prompts than rows.
  """

  rows: int = 1
  fsdp: int = 1
  tensor: int = 1
  cuts: bool = False

  @property
  def weights(self) -> int:
    """Parts of weights, gradients and moments."""
    return self.fsdp * self.tensor

  @property
  def devices(self) -> int:
    return self.rows * self.tensor

  @property
  def copies(self) -> int:
    """Devices that hold the same part of the weights: gradients are summed over them."""
    return self.rows // self.fsdp


def make_split(parallel: Parallel, devices: int) -> Split:
  """The split that `parallel` makes of so many devices.

  Raises:
    ConfigError: the axes of a mesh do not multiply out to the devices.
  """
  if parallel.mode == "single":
    return Split()
  if parallel.mode == "pmap":
    return Split(rows=devices)
  data, fsdp, tensor = parallel.axes(devices)
  return Split(rows=data * fsdp, fsdp=fsdp, tensor=tensor, cuts=True)


def share(work: Work, split: Split, parts: int = 1) -> Work:
  """What the busiest device has of one of `parts` parts of a step: P prompts, G answers to each.

  Where there are fewer prompts in a part than devices, a device has one prompt and some of its
  answers, as in `parallel.rules.cuts`.
  """
  prompts = -(-work.P // parts)
  if prompts >= split.rows or not split.cuts or not work.G:
    return dataclasses.replace(work, P=-(-prompts // split.rows))
  G = -(-work.G * prompts // split.rows)
  return dataclasses.replace(work, P=1, G=G, headed=work.headed * G // work.G)


def check_rows(work: Work, split: Split, stage: str) -> None:
  """Refuses prompts that do not split evenly, as a run would.

  Raises:
    ConfigError: names the sizes.
  """
  group = work.G if work.decoded and split.cuts else 1
  sampled = cuts(split.rows, work.P, group) if work.decoded else 1
  if not sampled or work.P % work.parts or not cuts(split.rows, work.P // work.parts, group):
    raise ConfigError(
      f"stage {stage}: {work.P} prompts or rows are not divisible by {split.rows} parts over"
      f" devices x {work.minibatches} minibatches x {work.micro_batches} micro-batches"
    )
