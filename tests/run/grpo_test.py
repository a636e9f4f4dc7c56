"""What a stage of GRPO says about its settings; whole stages are in loop_test.py."""

import pytest

from grpo_jax.config import Rollout
from grpo_jax.run.grpo import filter_notice


def test_no_filter_no_notice():
  assert filter_notice(Rollout(temperature=0.7)) is None


@pytest.mark.parametrize("filters", [{"top_k": 40}, {"top_p": 0.9}, {"min_p": 0.05}])
def test_a_filter_while_training_is_named_with_what_accounts_for_it(filters):
  notice = filter_notice(Rollout(**filters))
  name, value = next(iter(filters.items()))
  assert notice.startswith(f"{name}={value} while training")
  assert "loss.sampler_correction" in notice
