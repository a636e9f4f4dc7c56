"""Every field of a stage and of its rollout changes the run: no flag that nothing reads."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from grpo_jax import config, tasks
from grpo_jax.parallel import make_devices
from grpo_jax.run.grpo import make_grpo_runner
from grpo_jax.run.policy import load_policy
from grpo_jax.run.stage import Setting
from tests import quick

_SIZES = {"prompts": 4, "group_size": 4, "max_tokens": 3}
# A coin as the reward: a model that knows nothing has signal too.
_BASE = {"steps": 2, "rewards": {"random": 1.0}}


def _stage(**fields) -> config.GRPO:
  sizes = config.Rollout(**(_SIZES | fields.pop("rollout", {})))
  selection = config.Selection(**fields.pop("selection", {}))
  return config.GRPO(rollout=sizes, selection=selection, **(_BASE | fields))


def run(stage: config.GRPO, seed: int = 0, with_reference: bool = False):
  """Figures of the last step, without times, and all parameters in one vector."""
  experiment = config.Experiment(
    seed=seed,
    model=config.Model(
      tokenizer="characters",
      architecture=config.Architecture(
        hidden_size=8, layers=1, heads=1, kv_heads=1, head_size=8, ffn_size=8, context_length=16
      ),
    ),
    evaluation=config.Evaluation(max_tokens=4),
    task=config.Addition(low=0, high=4, question="{a}+{b}="),
    stages={"grpo": stage},
  )
  config.check(experiment)
  policy, devices = load_policy(experiment), make_devices(experiment.parallel)
  task = tasks.build(experiment.task)
  setting = Setting(experiment, 0, policy.network, policy.tokenizer, task, devices)
  reference = jax.tree.map(np.array, policy.params) if with_reference else None
  runner = make_grpo_runner(setting, stage, reference)
  state = devices.replicate(runner.init(policy.params))
  figures = {}
  for step in range(runner.steps):
    state, told = runner.advance(state, step)
    figures = told()[-1].figures
  params = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(devices.first(state.params))])
  return {k: v for k, v in figures.items() if not k.startswith("time/")}, params


@functools.cache
def _base():
  return run(_stage())


FIELDS = {
  "steps": {"steps": 3},
  "rewards": {"rewards": {"random": -1.0}},
  "minibatches": {"minibatches": 2},
  "epochs": {"epochs": 2},
  "selection.no_signal": {"selection": {"no_signal": "refill"}},
  "rollout.prompts": {"rollout": {"prompts": 8}},
  "rollout.group_size": {"rollout": {"group_size": 5}},
  "rollout.max_tokens": {"rollout": {"max_tokens": 4}},
  "rollout.temperature": {"rollout": {"temperature": 0.5}},
  "rollout.top_k": {"rollout": {"top_k": 2}},
  "rollout.top_p": {"rollout": {"top_p": 0.5}},
  "rollout.min_p": {"rollout": {"min_p": 0.95}},
}


_OFTEN = [*(n for n in FIELDS if "rollout" not in n), "rollout.group_size", "rollout.top_k"]


@pytest.mark.parametrize("name", quick.often(_OFTEN, FIELDS))
def test_every_field_changes_what_is_learned(name):
  stage = _stage(**FIELDS[name])
  _, params = run(stage)
  assert params.shape == _base()[1].shape
  assert not np.array_equal(params, _base()[1])


def test_the_seed_changes_what_is_learned():
  assert not np.array_equal(run(_stage(), seed=1)[1], _base()[1])


def test_dropped_groups_are_not_in_the_denominators():
  """A reward that most answers miss, so that many groups have no signal."""
  rare = {"rewards": {"number": 1.0}, "rollout": {"group_size": 8, "prompts": 8}}
  kept, _ = run(_stage(**rare))
  dropped, _ = run(_stage(**rare, selection={"no_signal": "drop"}))
  assert 0 < kept["groups/no_signal"] < 1
  assert dropped["train/grad_norm"] > kept["train/grad_norm"]


@pytest.mark.fault(13)
def test_a_batch_that_no_reward_can_score_ends_the_run(tmp_path):
  path = tmp_path / "reward.py"
  path.write_text("def unknown(prompt, completion, fields):\n  return float('nan')\n")
  with pytest.raises(RuntimeError, match="could score none of 16 answers"):
    run(_stage(rewards={f"{path}:unknown": 1.0}))


def test_maxrl_refuses_rewards_below_zero():
  """Divided by a negative mean, the best answer would be punished."""
  stage = _stage(rewards={"random": -1.0}, grouping=config.Grouping(scale="group_mean"))
  with pytest.raises(ValueError, match="rewards of 0 and above"):
    run(stage)


def test_rounds_bound_the_refill():
  """No answer of a random model has the format, so that every round is without signal."""
  hopeless = {"rewards": {"format": 1.0}}
  for rounds in (2, 3):
    refill = {"no_signal": "refill", "rounds": rounds}
    figures, _ = run(_stage(**hopeless, selection=refill))
    assert figures["groups/sampled"] == rounds * _SIZES["prompts"]
    assert figures["groups/unused"] == pytest.approx(1 - 1 / rounds)
    assert figures["train/skipped"] == 1


def test_solved_prompts_retire():
  often = {"steps": 4, "rewards": {"random": 1.0}}
  figures, _ = run(_stage(**often))
  retired, _ = run(_stage(**often, selection={"retire_at": 0.3}))
  assert figures["reward/mean"] != retired["reward/mean"]


def test_strict_changes_nothing_where_log_probs_agree():
  """Pitfall 11: a pass of its own for the old log-probs, within 1e-5 of the update's."""
  figures, params = run(_stage(strict=True))
  assert figures["policy/log_ratio_max"] < 1e-5
  np.testing.assert_allclose(params, _base()[1], atol=1e-6)


def test_several_updates_a_rollout_are_off_policy_and_say_so():
  """Pitfall 11: the first has ratio one; the last is as stale as policy/kl_old_last says."""
  optimizer = config.Optimizer(lr=1e-2, min_lr=1e-2)
  figures, _ = run(_stage(minibatches=2, epochs=2, optimizer=optimizer, strict=True))
  assert figures["policy/kl_old_last"] > figures["policy/kl_old"] > 0
  assert figures["policy/ess"] < 1


def test_the_reference_stays_where_it_was_while_the_policy_moves():
  """Pitfalls 16 and 27: buffers of the state are donated to every update; the reference's are not.

  Against itself the KL is exactly 0, and it grows from there.
  """
  loss = config.LossConfig(kl_coefficient=0.1)
  optimizer = config.Optimizer(lr=1e-2, min_lr=1e-2)
  seen = [
    run(_stage(steps=steps, loss=loss, optimizer=optimizer), with_reference=True)[0]
    for steps in (1, 4)
  ]
  assert seen[0]["policy/kl_ref"] == pytest.approx(0, abs=1e-9)
  assert seen[1]["policy/kl_ref"] > 1e-5


def test_a_reference_in_bfloat16_moves_the_kl_a_little_and_one_on_the_host_not_at_all():
  loss, fast = config.LossConfig(kl_coefficient=0.1), config.Optimizer(lr=1e-2, min_lr=1e-2)
  same = {"steps": 3, "loss": loss, "optimizer": fast}
  plain, params = run(_stage(**same), with_reference=True)
  on_host, others = run(_stage(**same, reference_place="host"), with_reference=True)
  assert on_host == plain
  np.testing.assert_array_equal(others, params)
  short, _ = run(_stage(**same, reference_dtype="bfloat16"), with_reference=True)
  assert short["policy/kl_ref"] != plain["policy/kl_ref"]
  assert short["policy/kl_ref"] == pytest.approx(plain["policy/kl_ref"], abs=1e-3)


def test_no_field_is_left_out():
  """Of the parts that have tests of their own only the names are looked at."""
  elsewhere = {"optimizer", "grouping", "shaping", "loss"}
  own = {"selection", "rollout", "strict", "steps_per_program"}
  own |= {"reference_dtype", "reference_place"}
  elsewhere |= {"task", "stop", "switch", "lora"}  # tests/run/stages_test.py, lora_test.py
  elsewhere |= {"max_nonfinite", "staleness"}  # replay_test.py, overlap_test.py
  assert {n for n in FIELDS if "." not in n} == _names(config.GRPO) - elsewhere - own
  turns = {"turns", "observation_tokens"}  # tests/run/playing_test.py
  names = {n.removeprefix("rollout.") for n in FIELDS if "rollout." in n}
  assert names == _names(config.Rollout) - turns
  assert _names(config.Selection) == {"no_signal", "rounds", "retire_at"}


def _names(kind) -> set[str]:
  return {field.name for field in dataclasses.fields(kind)}
