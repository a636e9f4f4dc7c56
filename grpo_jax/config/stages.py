"""The stages of an experiment, each with its own data, optimiser and length."""

import dataclasses

from grpo_jax.config.algorithm import Grouping, Selection, Shaping
from grpo_jax.config.fields import Config, field
from grpo_jax.config.loss import LossConfig

_COLDEST = 0.01
SCHEDULES = ("cosine", "linear", "constant", "warmup_stable_decay")


@dataclasses.dataclass(kw_only=True)
class Optimizer(Config):
  """AdamW with a clipped gradient and a learning rate that falls to a floor.

  lr, min_lr: the peak and the floor, both learning rates (the floor is not a fraction).
  warmup_steps: updates of linear rise from 0 to lr.
  decay_steps: updates until the floor, counted from 0 with the warm-up; 0 is the whole stage.
  stable_steps: updates at lr after the warm-up, for schedule="warmup_stable_decay".
  max_grad_norm: the gradient is scaled down to this global norm; 0 is off.
  micro_batches: parts an update's batch is split into to save memory; the gradient is the same.
  """

  lr: float = field(1e-5, above=0)
  min_lr: float = field(1e-6, least=0)
  schedule: str = field("cosine", choices=SCHEDULES)
  warmup_steps: int = field(0, least=0)
  decay_steps: int = field(0, least=0)
  stable_steps: int = field(0, least=0)
  beta1: float = field(0.9, least=0, below=1)
  beta2: float = field(0.95, least=0, below=1)
  eps: float = field(1e-8, above=0)
  weight_decay: float = field(0.0, least=0)
  max_grad_norm: float = field(1.0, least=0)
  micro_batches: int = field(1, least=1)

  def contradictions(self) -> list[str]:
    problems = []
    rising = self.warmup_steps + self.stable_steps
    if self.min_lr > self.lr:
      problems.append(f"min_lr={self.min_lr} is the floor and cannot be above lr={self.lr}")
    if self.decay_steps and self.decay_steps <= rising:
      problems.append(
        f"decay_steps={self.decay_steps} must be longer than the warmup_steps + stable_steps"
        f" = {rising} that it includes"
      )
    if self.stable_steps and self.schedule != "warmup_stable_decay":
      problems.append(f"stable_steps is of schedule='warmup_stable_decay', not {self.schedule!r}")
    if self.schedule == "constant" and (self.min_lr or self.decay_steps):
      problems.append("schedule='constant' never falls: set min_lr=0 and decay_steps=0")
    return problems


@dataclasses.dataclass(kw_only=True)
class Rollout(Config):
  """How answers are sampled: prompts a step, G answers each, at most max_tokens long.

  temperature: 0 is greedy. top_k 0, top_p 1 and min_p 0 are off.
  """

  prompts: int = field(8, least=1)
  group_size: int = field(8, least=1)
  max_tokens: int = field(64, least=1)
  temperature: float = field(1.0, least=0)
  top_k: int = field(0, least=0)
  top_p: float = field(1.0, above=0, most=1)
  min_p: float = field(0.0, least=0, below=1)


@dataclasses.dataclass(kw_only=True)
class SFT(Config):
  """Supervised fine-tuning on the task's own solutions: batch_size examples an update.

  max_tokens: the longest solution, its stop token included; a longer one is an error.
  """

  steps: int = field(100, least=1)
  batch_size: int = field(32, least=1)
  max_tokens: int = field(64, least=1)
  optimizer: Optimizer = field(Optimizer)

  def contradictions(self) -> list[str]:
    return _stage_problems(self.steps, self.optimizer, self.batch_size, "batch_size")


@dataclasses.dataclass(kw_only=True)
class GRPO(Config):
  """Group-relative policy optimisation: sample, score, compare within the group, update.

  rewards: weight of each reward by its name in `grpo_jax.rewards`, or "file.py:function".
  minibatches, epochs: a rollout gives minibatches x epochs updates; with 1 x 1 the update is
    on-policy and the old log-probs are its own.
  strict: recomputes the old log-probs all the same, and stops the run where they differ from the
    update's own by more than 1e-5.
  steps_per_program: steps that are compiled as one program, where all rewards are in JAX: nothing
    waits for the host between them. Samples are then of the last step of each program.
  """

  steps: int = field(100, least=1)
  rollout: Rollout = field(Rollout)
  optimizer: Optimizer = field(Optimizer)
  grouping: Grouping = field(Grouping)
  shaping: Shaping = field(Shaping)
  selection: Selection = field(Selection)
  loss: LossConfig = field(LossConfig)
  rewards: dict[str, float] = field(lambda: {"number": 1.0})
  minibatches: int = field(1, least=1)
  epochs: int = field(1, least=1)
  strict: bool = False
  steps_per_program: int = field(1, least=1)

  def contradictions(self) -> list[str]:
    sizes = self.rollout
    problems = _stage_problems(
      self.steps * self.minibatches * self.epochs,
      self.optimizer,
      sizes.prompts // self.minibatches,
      "rollout.prompts / minibatches",
    )
    if sizes.prompts % self.minibatches:
      problems.append(
        f"rollout.prompts={sizes.prompts} is not divisible by minibatches={self.minibatches}"
      )
    comparing = self.grouping.baseline != "none" or self.grouping.scale == "group_std"
    if sizes.group_size == 1 and comparing:
      problems.append(
        "rollout.group_size=1 has nothing to compare with: a group baseline or z-score needs 2 or"
        " more (4 to 8 is usual), or grouping.baseline='none' and grouping.scale='none'"
      )
    if sizes.temperature == 0 or sizes.top_k == 1:
      problems.append(
        f"rollout.temperature={sizes.temperature}, top_k={sizes.top_k} is greedy: all answers of a"
        " group would be the same, without signal"
      )
    if 0 < sizes.temperature < _COLDEST:
      problems.append(
        f"rollout.temperature={sizes.temperature} is under {_COLDEST}, where logits overflow: 0 is"
        " greedy"
      )
    if not self.rewards:
      problems.append("rewards is empty: name at least one, as in rewards={'number': 1.0}")
    return problems + self._algorithm_problems() + self._program_problems()

  def _program_problems(self) -> list[str]:
    """What a program of several steps has no place for."""
    if self.steps_per_program == 1:
      return []
    alone = {
      "minibatches": self.minibatches == 1,
      "epochs": self.epochs == 1,
      "strict": not self.strict,
      "loss.kl_coefficient": self.loss.kl_coefficient == 0,
      "loss.entropy_top": self.loss.entropy_top == 1,
      "selection.no_signal": self.selection.no_signal == "keep",
      "selection.retire_at": self.selection.retire_at == 0,
    }
    problems = [
      f"{name} cannot be used with steps_per_program={self.steps_per_program}, whose steps are one"
      " update each, of all that was sampled: leave it as it is by default, or"
      " steps_per_program=1"
      for name, default in alone.items()
      if not default
    ]
    if self.steps % self.steps_per_program:
      problems.append(
        f"steps={self.steps} is not divisible by steps_per_program={self.steps_per_program}"
      )
    return problems

  def _algorithm_problems(self) -> list[str]:
    """Combinations of the algorithm with the sizes of the rollout."""
    problems, G = [], self.rollout.group_size
    if G == 2 and self.grouping.scale == "group_std" and self.grouping.ddof == 1:
      problems.append(
        "rollout.group_size=2 with grouping.ddof=1 gives advantages of +-0.71 whatever the rewards"
        " are: a larger group, or grouping.scale='none'"
      )
    if G == 1 and self.selection.no_signal != "keep":
      problems.append(
        f"selection.no_signal={self.selection.no_signal!r} with rollout.group_size=1: one answer"
        " never differs from itself, so every group would be dropped"
      )
    if self.shaping.overlong_buffer > self.rollout.max_tokens:
      problems.append(
        f"shaping.overlong_buffer={self.shaping.overlong_buffer} is longer than"
        f" rollout.max_tokens={self.rollout.max_tokens}"
      )
    return problems


def _stage_problems(updates: int, optimizer: Optimizer, batch: int, name: str) -> list[str]:
  """What is wrong with a stage of `updates` updates of `batch` prompts or examples each."""
  problems = []
  rising = optimizer.warmup_steps + optimizer.stable_steps
  if not optimizer.decay_steps and optimizer.schedule != "constant" and rising >= updates:
    problems.append(
      f"optimizer: warmup_steps + stable_steps = {rising} leaves none of the stage's {updates}"
      " updates for the decay"
    )
  if batch % optimizer.micro_batches:
    problems.append(
      f"{name} = {batch} is not divisible by optimizer.micro_batches={optimizer.micro_batches}"
    )
  return problems


Stage = SFT | GRPO
