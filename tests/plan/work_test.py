import dataclasses

import pytest

from grpo_jax import config
from grpo_jax.plan.split import Split, check_rows, make_split, share
from grpo_jax.plan.work import causal_pairs, stage_work


def grpo(**fields) -> config.GRPO:
  return config.GRPO(
    rollout=config.Rollout(prompts=4, group_size=2, max_tokens=5), steps=10, **fields
  )


def test_a_prompt_counts_once_for_its_group():
  work = stage_work(grpo(), 16)
  assert work.tokens == 16 + 2 * 4
  assert work.headed == 2 * 5
  assert work.pairs == 16 * 16 + 2 * (4 * 4 + 4 * 16)


@pytest.mark.parametrize(
  ("length", "pairs"),
  [
    (5, 25),
    (128, 128 * 128),
    # Two blocks are one span, of whole blocks against all 129 keys.
    (129, 256 * 129),
    # Four blocks in two spans, with keys up to 256 and 512.
    (512, 256 * 256 + 256 * 512),
  ],
)
def test_pairs_are_those_of_whole_blocks(length, pairs):
  assert causal_pairs(length) == pairs


@pytest.mark.parametrize(
  ("fields", "passes"),
  [
    ({}, (False, False)),
    ({"epochs": 2}, (True, False)),
    ({"strict": True}, (True, False)),
    ({"loss": config.LossConfig(kl_coefficient=0.1)}, (False, True)),
    ({"loss": config.LossConfig(kl_coefficient=0.1, kl_place="reward")}, (True, True)),
  ],
)
def test_passes_before_the_update_are_those_that_a_run_takes(fields, passes):
  work = stage_work(grpo(**fields), 16)
  assert (work.old, work.reference) == passes


def test_each_kind_of_stage():
  sft = stage_work(config.SFT(batch_size=8, max_tokens=6), 10)
  assert (sft.tokens, sft.headed, sft.decoded) == (10 + 5, 6, 0)
  judge = stage_work(config.RewardModel(batch_size=8, max_tokens=6), 10)
  assert (judge.tokens, judge.headed, judge.beside) == (10 + 12, 0, True)
  texts = stage_work(config.Pretrain(batch_size=8, length=64), 10)
  assert (texts.tokens, texts.headed, texts.pairs) == (64, 63, 64 * 64)
  rewards = {"stage:judge": 1.0, "number": 0.0}
  ppo = stage_work(config.PPO(rewards=rewards), 10)
  assert (ppo.critic, ppo.judges) == ("separate", 1)


def test_fewer_decode_steps_can_be_expected():
  assert stage_work(grpo(), 16, decoded=3).decoded == 3
  with pytest.raises(config.ConfigError, match="answer_tokens=9"):
    stage_work(grpo(), 16, decoded=9)


def test_splits():
  mesh = config.Parallel(mode="mesh", fsdp=4, tensor=2)
  assert make_split(config.Parallel(), 8) == Split()
  assert make_split(config.Parallel(mode="pmap"), 8) == Split(rows=8)
  split = make_split(mesh, 16)
  assert split == Split(rows=8, fsdp=4, tensor=2, cuts=True)
  assert (split.weights, split.devices, split.copies) == (8, 16, 2)


def test_a_mesh_that_does_not_fit_the_devices_is_refused():
  mesh = config.Parallel(mode="mesh", fsdp=3)
  with pytest.raises(config.ConfigError, match="does not use all of 8 devices"):
    make_split(mesh, 8)


def test_prompts_that_do_not_divide_are_refused():
  work = stage_work(grpo(), 16)
  check_rows(work, Split(rows=4), "grpo")
  with pytest.raises(config.ConfigError, match="4 prompts or rows are not divisible by 8"):
    check_rows(work, Split(rows=8), "grpo")
  with pytest.raises(config.ConfigError, match="2 micro-batches"):
    check_rows(dataclasses.replace(work, micro_batches=2), Split(rows=4), "grpo")


def test_a_device_has_prompts_or_where_they_are_few_a_part_of_a_group():
  split = Split(rows=8, cuts=True)
  work = dataclasses.replace(stage_work(grpo(), 16), P=8, G=4)
  assert share(work, split) == dataclasses.replace(work, P=1)
  part = share(work, split, 4)  # two prompts at a time on eight devices
  assert (part.P, part.G, part.headed) == (1, 1, work.headed // 4)
  check_rows(dataclasses.replace(work, micro_batches=4), split, "rl")
  with pytest.raises(config.ConfigError, match="stage rl: 8 prompts"):
    check_rows(dataclasses.replace(work, micro_batches=8), split, "rl")
  with pytest.raises(config.ConfigError, match="stage rl: 8 prompts"):
    check_rows(dataclasses.replace(work, micro_batches=4), Split(rows=8), "rl")
