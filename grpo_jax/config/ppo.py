"""A stage of PPO with a critic: the baseline that GRPO does without."""

import dataclasses

from grpo_jax.config.algorithm import Grouping, Selection, Shaping
from grpo_jax.config.fields import field
from grpo_jax.config.optimizer import Optimizer
from grpo_jax.config.stages import GRPO

CRITICS = ("separate", "shared")


def _ungrouped() -> Grouping:
  return Grouping(baseline="none", scale="none")


@dataclasses.dataclass(kw_only=True)
class PPO(GRPO):
  """Proximal policy optimisation: a critic's values are the baseline, token by token.

  Rollout, rewards, loss, minibatches and epochs are those of GRPO, and the same code. Answers are
  not compared within their group, so rollout.group_size may be 1. With loss.kl_place="reward" each
  token is charged for its own KL. shaping.whiten normalises advantages over the batch.

  critic: "separate", a decoder of its own that begins as the policy; "shared", a head on the
    policy's own last hidden state.
  gamma, lam: of generalised advantage estimation.
  value_clip: see losses.value_loss; 0 is off. value_coefficient: the value loss's weight beside the
    policy's.
  critic_optimizer: of a separate critic. critic_warmup: steps in which the policy is left alone.
  """

  grouping: Grouping = field(_ungrouped)
  shaping: Shaping = field(lambda: Shaping(whiten=True))
  critic: str = field("separate", choices=CRITICS)
  gamma: float = field(1.0, above=0, most=1)
  lam: float = field(0.95, least=0, most=1)
  value_clip: float = field(0.2, least=0)
  value_coefficient: float = field(0.5, above=0)
  critic_optimizer: Optimizer = field(Optimizer)
  critic_warmup: int = field(0, least=0)

  def contradictions(self) -> list[str]:
    problems = super().contradictions()
    alone = {
      "grouping": (self.grouping, _ungrouped()),
      "selection": (self.selection, Selection()),
      "shaping.gdpo": (self.shaping.gdpo, False),
      "steps_per_program": (self.steps_per_program, 1),
      "lora.rank": (self.lora.rank, 0),
    }
    problems += [
      f"{name}={value} is of GRPO: PPO has a critic for it, leave it as it is by default"
      for name, (value, default) in alone.items()
      if value != default
    ]
    if self.loss.kl_coefficient and self.loss.kl_place == "returns":
      problems.append(
        "loss.kl_place='returns' is of GRPO: 'reward' charges tokens, and GAE sums up"
      )
    if self.critic == "shared" and self.critic_optimizer != Optimizer():
      problems.append("critic_optimizer is of critic='separate': a shared trunk has one optimizer")
    if self.critic == "shared" and self.critic_warmup:
      problems.append("critic_warmup is of critic='separate': a shared trunk moves with the policy")
    if self.critic_optimizer.micro_batches != 1:
      problems.append("critic_optimizer.micro_batches is read nowhere: optimizer.micro_batches is")
    if self.critic_warmup >= self.steps:
      problems.append(
        f"critic_warmup={self.critic_warmup} leaves none of the stage's {self.steps} steps"
      )
    return problems
