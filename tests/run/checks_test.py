"""What is refused of later stages before the first one runs."""

import pytest

from grpo_jax import config
from grpo_jax.parallel import Devices
from grpo_jax.run.checks import check_batches, check_context, check_rewards
from tests.config.helpers import experiment


def _two_stages(**grpo):
  return experiment(stages={"sft": config.SFT(batch_size=8), "grpo": config.GRPO(**grpo)})


@pytest.mark.fault(21)
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


@pytest.mark.fault(21)
def test_answers_as_long_as_the_context_are_refused():
  with pytest.raises(config.ConfigError, match=r"config\.evaluation\.max_tokens=64"):
    check_context(_two_stages(), 64)
  check_context(_two_stages(), 65)


def test_rewards_of_all_stages_and_of_the_evaluation_are_looked_up():
  check_rewards(_two_stages(rewards={"exact": 1.0, "solution": 1.0}))
  with pytest.raises(config.ConfigError, match="no reward is called 'exakt'"):
    check_rewards(_two_stages(rewards={"exakt": 1.0}))
  bad = _two_stages()
  bad.evaluation.reward = "nunber"
  with pytest.raises(config.ConfigError, match="no reward is called 'nunber'"):
    check_rewards(bad)


def test_a_reward_of_the_other_kind_is_refused():
  bad = _two_stages()
  bad.evaluation.reward = "solution"
  with pytest.raises(config.ConfigError, match=r"evaluation: 'solution' reads arrays"):
    check_rewards(bad)
  rewards = {"solution": 1.0, "number": 1.0}
  with pytest.raises(config.ConfigError, match=r"stages\.grpo\.rewards: 'number' is not in JAX"):
    check_rewards(_two_stages(rewards=rewards, steps_per_program=10))
  check_rewards(_two_stages(rewards={"solution": 1.0}, steps_per_program=10))


@pytest.mark.parametrize("name", ["stage:grpo", "stage:rm"])
def test_a_learned_reward_needs_its_stage_before(name):
  with pytest.raises(config.ConfigError, match="must be a RewardModel stage before this one"):
    check_rewards(_two_stages(rewards={name: 1.0}))
