"""(TrainState, Batch) -> (TrainState, Metrics), one module a kind of training."""

from grpo_jax.steps.grpo import StepFn, make_grpo_step
from grpo_jax.steps.program import Asked, Program, Record, make_grpo_program
from grpo_jax.steps.sft import make_sft_step
from grpo_jax.steps.text import make_text_loss, make_text_step

__all__ = [
  "Asked",
  "Program",
  "Record",
  "StepFn",
  "make_grpo_program",
  "make_grpo_step",
  "make_sft_step",
  "make_text_loss",
  "make_text_step",
]
