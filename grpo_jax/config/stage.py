"""What every stage of an experiment has: an optimiser, a length, and how it begins and ends."""

import dataclasses

from grpo_jax.config.fields import Config, field
from grpo_jax.config.lora import LoRA
from grpo_jax.config.optimizer import Optimizer
from grpo_jax.config.task import Task

MOMENTS = ("fresh", "keep")
REFERENCES = ("fresh", "keep")


@dataclasses.dataclass(kw_only=True)
class Stop(Config):
  """When a stage ends before its steps are done, by a held-out figure.

  figure: its name in metrics.jsonl. lower: a lower one is better, as of a loss.
  held: the stage ends once the figure is `score` or better this many evaluations in a row; 0 is
    off.
  patience: it ends after as many evaluations in a row without a new best, and the policy goes on
    as it was at its best, however the stage ends; 0 is off.
  """

  figure: str = "eval/accuracy"
  lower: bool = False
  score: float = 1.0
  held: int = field(0, least=0)
  patience: int = field(0, least=0)

  def contradictions(self) -> list[str]:
    problems = []
    if not self.held and self.score != 1.0:
      problems.append(
        f"score={self.score} is of held, which is 0: the stage would never look at it"
      )
    if not (self.held or self.patience) and (self.figure, self.lower) != ("eval/accuracy", False):
      problems.append(
        f"figure={self.figure!r}, lower={self.lower} without a rule: set held or patience"
      )
    return problems


@dataclasses.dataclass(kw_only=True)
class Switch(Config):
  """What a stage takes over from the one before, beside its parameters.

  moments: "keep" goes on with the optimiser's moments; "fresh" begins with none.
  reference: "fresh", the policy as the stage begins; "keep", that of the last stage that had one.
  """

  moments: str = field("fresh", choices=MOMENTS)
  reference: str = field("fresh", choices=REFERENCES)


@dataclasses.dataclass(kw_only=True)
class Stage(Config):
  """The fields that all stages have.

  steps: the most that are taken. task: what is asked; None is the experiment's own.
  max_nonfinite: an update whose loss or gradient is not finite is skipped; as many steps in a row
    with one end the run.
  lora: adapters that are trained in place of the weights, and added to them as the stage ends.
  """

  steps: int = field(100, least=1)
  max_nonfinite: int = field(3, least=1)
  task: Task | None = None
  optimizer: Optimizer = field(Optimizer)
  lora: LoRA = field(LoRA)
  stop: Stop = field(Stop)
  switch: Switch = field(Switch)

  @property
  def updates(self) -> int:
    """Optimiser updates of the whole stage."""
    return self.steps

  @property
  def batch(self) -> tuple[int, str]:
    """Rows of an update's batch, and the field that says so."""
    raise NotImplementedError

  @property
  def group(self) -> int:
    """Answers of a row that several devices may share, where they are more than the rows."""
    return 1

  @property
  def longest(self) -> tuple[int, str]:
    """Tokens that the stage needs in the model's context beside a prompt, and their field."""
    raise NotImplementedError

  def contradictions(self) -> list[str]:
    problems, optimizer = [], self.optimizer
    rising = optimizer.warmup_steps + optimizer.stable_steps
    if not optimizer.decay_steps and optimizer.schedule != "constant" and rising >= self.updates:
      problems.append(
        f"optimizer: warmup_steps + stable_steps = {rising} leaves none of the stage's"
        f" {self.updates} updates for the decay"
      )
    size, name = self.batch
    if size % optimizer.micro_batches:
      problems.append(
        f"{name} = {size} is not divisible by optimizer.micro_batches={optimizer.micro_batches}"
      )
    return problems
