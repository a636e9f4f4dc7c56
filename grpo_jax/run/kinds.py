"""The runner of a stage, by its kind."""

from collections.abc import Iterable, Mapping
from typing import Any

from grpo_jax.config import GRPO, PPO, SFT, Pretrain, RewardModel, Stage
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.ppo import make_ppo_runner
from grpo_jax.run.program import make_program_runner
from grpo_jax.run.reward_model import make_reward_model_runner
from grpo_jax.run.sft import make_sft_runner
from grpo_jax.run.stage import Runner, Setting
from grpo_jax.run.texts import make_text_runner
from grpo_jax.types import Params


def make_runner(
  setting: Setting,
  stage: Stage,
  reference: Params | None,
  past: Iterable[Mapping[str, Any]],
) -> Runner:
  """Builds the stage.

  Args:
    setting, stage: the run and its stage.
    reference: the policy that the KL compares with, if there is one.
    past: records of samples.jsonl of the stage's earlier steps, where the run is resumed.
  """
  if isinstance(stage, PPO):  # a GRPO stage with a critic
    return make_ppo_runner(setting, stage, reference, past)
  if isinstance(stage, GRPO):
    if stage.steps_per_program > 1:
      return make_program_runner(setting, stage)
    return make_grpo_runner(setting, stage, reference, past)
  if isinstance(stage, RewardModel):
    return make_reward_model_runner(setting, stage)
  if isinstance(stage, SFT):
    return make_sft_runner(setting, stage)
  assert isinstance(stage, Pretrain), stage
  return make_text_runner(setting, stage)
