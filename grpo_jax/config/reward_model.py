"""A stage that trains a reward model on preferences."""

import dataclasses

from grpo_jax.config.fields import field
from grpo_jax.config.files import Sides
from grpo_jax.config.stage import Stage


@dataclasses.dataclass(kw_only=True)
class Preferences(Sides):
  """Pairs of answers in files: the columns of the question and of both answers."""

  prompt: str = "prompt"
  chosen: str = "chosen"
  rejected: str = "rejected"
  system: str = ""


@dataclasses.dataclass(kw_only=True)
class RewardModel(Stage):
  """A scalar head on a copy of the policy, trained on pairs; the policy itself goes on unchanged.

  The model is left in WORKDIR/reward_models/NAME, and "stage:NAME" is a reward of later stages.

  pairs: files; None takes the pairs of the task. batch_size: pairs an update.
  max_tokens: the longest answer, its stop token included; a longer one is an error.
  held_out_pairs: judged before, during and after. margin, centering: see losses.bradley_terry.
  """

  pairs: Preferences | None = None
  batch_size: int = field(32, least=1)
  max_tokens: int = field(64, least=1)
  held_out_pairs: int = field(200, least=2)
  margin: float = field(0.0, least=0)
  centering: float = field(0.0, least=0)

  @property
  def batch(self) -> tuple[int, str]:
    return self.batch_size, "batch_size"

  @property
  def longest(self) -> tuple[int, str]:
    return self.max_tokens, "max_tokens"

  def contradictions(self) -> list[str]:
    adapted = [f"lora.rank={self.lora.rank}: a reward model trains all weights"]
    return super().contradictions() + (adapted if self.lora.rank else [])
