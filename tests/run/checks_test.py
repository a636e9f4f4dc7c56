"""What is refused of later stages before the first one runs."""

import pytest

from grpo_jax import config
from grpo_jax.parallel import Devices
from grpo_jax.run.checks import check_batches, check_context, reward_names
from tests.config.helpers import experiment


def _two_stages(**grpo):
  return experiment(stages={"sft": config.SFT(batch_size=8), "grpo": config.GRPO(**grpo)})


def test_batches_of_every_stage_are_checked_by_name_and_value():
  sizes = config.Rollout(prompts=32)
  optimizer = config.Optimizer(micro_batches=8)
  bad = _two_stages(rollout=sizes, minibatches=2, optimizer=optimizer)
  check_batches(bad, Devices(1, None))
  with pytest.raises(config.ConfigError) as error:
    check_batches(bad, Devices(4, "d"))
  assert str(error.value) == (
    "config.stages.grpo.rollout.prompts / minibatches = 16 is not divisible by 4 devices x 8"
    " micro-batches"
  )


def test_answers_as_long_as_the_context_are_refused():
  with pytest.raises(config.ConfigError, match=r"config\.evaluation\.max_tokens=64"):
    check_context(_two_stages(), 64)
  check_context(_two_stages(), 65)


def test_rewards_of_all_stages_and_of_the_evaluation_are_named():
  assert reward_names(_two_stages(rewards={"exact": 1.0})) == ["number", "exact"]
