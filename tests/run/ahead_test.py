"""Programs that are compiled from shapes are those that a run compiles."""

import jax
import pytest

from grpo_jax import config
from grpo_jax.run.ahead import compile_stage
from tests import quick
from tests.plan.helpers import SMALL, experiment

_ROLLOUT = config.Rollout(prompts=4, group_size=2, max_tokens=6)
_KL = config.LossConfig(kl_coefficient=0.1)
STAGES = {
  "grpo": (config.GRPO(rollout=_ROLLOUT), {"evaluation", "rollout", "update"}),
  "reference": (
    config.GRPO(rollout=_ROLLOUT, loss=_KL, minibatches=2),
    {"evaluation", "rollout", "look", "update"},
  ),
  "ppo": (config.PPO(rollout=_ROLLOUT), {"evaluation", "rollout", "update"}),
  "sft": (config.SFT(batch_size=4, max_tokens=6), {"evaluation", "update"}),
  "reward_model": (config.RewardModel(batch_size=4, max_tokens=6), {"evaluation", "update"}),
  "pretrain": (config.Pretrain(batch_size=4, length=16), {"evaluation", "update"}),
}


@pytest.mark.parametrize("name", quick.often(("grpo", "sft", "pretrain"), STAGES))
def test_every_kind_of_stage_compiles(name):
  stage, programs = STAGES[name]
  found = compile_stage(experiment(stage), "grpo", jax.devices(), SMALL, prompt_length=16)
  assert set(found) == programs
  for compiled in found.values():
    assert compiled.memory["temp"] > 0
  update = found["update"].memory
  assert update["alias"] > 0.9 * update["output"]  # the state is updated in place
