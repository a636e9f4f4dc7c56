"""(TrainState, Batch) -> (TrainState, Metrics), one module a kind of training."""

from grpo_jax.steps.grpo import make_grpo_step
from grpo_jax.steps.sft import make_sft_step

__all__ = ["make_grpo_step", "make_sft_step"]
