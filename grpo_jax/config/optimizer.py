"""The optimiser, and the learning rate that falls to a floor."""

import dataclasses

from grpo_jax.config.fields import Config, field

SCHEDULES = ("cosine", "linear", "constant", "warmup_stable_decay")


@dataclasses.dataclass(kw_only=True)
class Optimizer(Config):
  """AdamW with a clipped gradient and a learning rate that falls to a floor.

  lr, min_lr: the peak and the floor, both learning rates (the floor is not a fraction).
  warmup_steps: updates of linear rise from 0 to lr.
  decay_steps: updates until the floor, counted from 0 with the warm-up; 0 is the whole stage.
  stable_steps: updates at lr after the warm-up, for schedule="warmup_stable_decay".
  max_grad_norm: the gradient is scaled down to this global norm; 0 is off.
  first_moment: the type that Adam's first moment is kept in; bfloat16 saves two bytes a parameter.
    The second stays float32: bfloat16 cannot hold an average that moves by 1 - beta2 of itself.
  micro_batches: parts an update's batch is split into to save memory; the gradient is the same.
  spike_sigma: an update is skipped whose loss or gradient norm is so many standard deviations above
    those of the last spike_window updates (see `guard.is_spike`); 0 is off, 6 is usual.
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
  first_moment: str = field("float32", choices=("float32", "bfloat16"))
  micro_batches: int = field(1, least=1)
  spike_sigma: float = field(0.0, least=0)
  spike_window: int = field(32, least=4)

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
    if not self.spike_sigma and self.spike_window != 32:
      problems.append(f"spike_window={self.spike_window} is of a guard, and spike_sigma=0 is none")
    return problems
