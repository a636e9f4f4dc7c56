"""Contradictions of a stage: each is one line before anything is compiled."""

import pytest

from grpo_jax import config
from grpo_jax.config import GRPO, SFT, Grouping, Optimizer, Rollout
from tests.config.helpers import refused


def test_a_floor_above_the_peak():
  refused(Optimizer(lr=1e-5, min_lr=2e-5), "min_lr=2e-05", "lr=1e-05")
  config.check(Optimizer(lr=1e-5, min_lr=1e-5))


@pytest.mark.parametrize("decay_steps", [3, 5])
def test_a_decay_not_longer_than_the_warmup(decay_steps):
  refused(Optimizer(warmup_steps=5, decay_steps=decay_steps), f"decay_steps={decay_steps}", "5")


def test_a_decay_just_longer_than_the_warmup():
  config.check(Optimizer(warmup_steps=5, decay_steps=6))


def test_a_decay_not_longer_than_warmup_and_plateau():
  optimizer = {"schedule": "warmup_stable_decay", "warmup_steps": 5, "stable_steps": 5}
  refused(Optimizer(decay_steps=10, **optimizer), "decay_steps=10", "10")
  config.check(Optimizer(decay_steps=11, **optimizer))


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_a_plateau_of_a_schedule_without_one(schedule):
  refused(Optimizer(schedule=schedule, min_lr=0.0, stable_steps=5), "stable_steps", schedule)


@pytest.mark.parametrize("fields", [{"min_lr": 1e-6}, {"min_lr": 0.0, "decay_steps": 10}])
def test_a_constant_rate_that_falls(fields):
  refused(Optimizer(schedule="constant", **fields), "constant")


def test_a_constant_rate_that_stays():
  config.check(Optimizer(schedule="constant", min_lr=0.0))


@pytest.mark.parametrize("stage", [GRPO, SFT])
def test_a_warmup_that_fills_the_stage(stage):
  refused(stage(steps=10, optimizer=Optimizer(warmup_steps=10)), "warmup_steps", "10")
  config.check(stage(steps=11, optimizer=Optimizer(warmup_steps=10)))


def test_updates_are_steps_times_minibatches_times_epochs():
  optimizer = Optimizer(warmup_steps=79)
  config.check(GRPO(steps=10, minibatches=4, epochs=2, optimizer=optimizer))
  optimizer = Optimizer(warmup_steps=80)
  refused(GRPO(steps=10, minibatches=4, epochs=2, optimizer=optimizer), "80")


@pytest.mark.parametrize("grouping", [{}, {"scale": "none"}, {"baseline": "none"}])
def test_one_answer_has_nothing_to_be_compared_with(grouping):
  refused(GRPO(rollout=Rollout(group_size=1), grouping=Grouping(**grouping)), "group_size=1")


def test_one_answer_without_comparison_passes():
  config.check(
    GRPO(rollout=Rollout(group_size=1), grouping=Grouping(baseline="none", scale="none"))
  )


def test_prompts_that_minibatches_do_not_divide():
  refused(GRPO(rollout=Rollout(prompts=8), minibatches=3), "prompts=8", "minibatches=3")
  refused(GRPO(rollout=Rollout(prompts=2), minibatches=4), "prompts=2", "minibatches=4")


def test_prompts_that_micro_batches_do_not_divide():
  """Pitfall 7: a split that leaves a rest would weigh its tokens differently."""
  refused(GRPO(rollout=Rollout(prompts=8), optimizer=Optimizer(micro_batches=3)), "micro_batches=3")
  refused(GRPO(minibatches=4, optimizer=Optimizer(micro_batches=4)), "micro_batches=4")
  config.check(GRPO(minibatches=4, optimizer=Optimizer(micro_batches=2)))


def test_examples_that_micro_batches_do_not_divide():
  refused(SFT(batch_size=32, optimizer=Optimizer(micro_batches=5)), "batch_size", "32", "5")


def test_greedy_answers_are_all_the_same():
  """Pitfall 19: a group of identical answers has no signal."""
  refused(GRPO(rollout=Rollout(temperature=0.0)), "temperature=0")


def test_top_k_1_is_greedy_too():
  refused(GRPO(rollout=Rollout(top_k=1)), "top_k=1")


def test_no_rewards():
  refused(GRPO(rewards={}), "rewards")
