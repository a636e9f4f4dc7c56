"""What a stage of GRPO says about its settings."""

import pytest

from grpo_jax import config
from grpo_jax.config import GRPO, LossConfig, Rollout
from grpo_jax.run.notices import notices


def test_plain_settings_need_no_word():
  assert notices(GRPO(rollout=Rollout(temperature=0.7))) == []


@pytest.mark.fault(21)
@pytest.mark.parametrize("filters", [{"top_k": 40}, {"top_p": 0.9}, {"min_p": 0.05}])
def test_a_filter_while_training_is_named_with_what_accounts_for_it(filters):
  """Pitfall 6."""
  (notice,) = notices(GRPO(rollout=Rollout(**filters)))
  name, value = next(iter(filters.items()))
  assert notice.startswith(f"{name}={value} while training")
  assert "loss.sampler_correction" in notice


def test_with_a_correction_there_is_nothing_to_say():
  loss = LossConfig(sampler_correction="truncate")
  assert notices(GRPO(rollout=Rollout(top_p=0.9), loss=loss)) == []


@pytest.mark.parametrize("name", ["dapo", "gspo", "cispo", "gmpo", "sapo", "scalerl"])
def test_an_objective_that_needs_ratios_says_so_where_all_are_one(name):
  assert any("every ratio is 1" in notice for notice in notices(GRPO(**config.preset(name))))
  assert notices(GRPO(**config.preset(name), minibatches=2)) == []


def test_gdpo_of_one_reward():
  (notice,) = notices(GRPO(**config.preset("gdpo"), rewards={"number": 1.0}))
  assert "'number'" in notice
  assert notices(GRPO(**config.preset("gdpo"), rewards={"number": 1.0, "format": 0.5})) == []
