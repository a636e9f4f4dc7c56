"""A stage of PPO: every field is read, values are learned, and the run resumes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.run import loop
from grpo_jax.run.ppo import token_advantages
from tests import quick
from tests.run import stages_test

_QUICK = config.Optimizer(lr=1e-2, min_lr=1e-2)


def _ppo(**fields) -> config.PPO:
  sizes = config.Rollout(prompts=4, group_size=4, max_tokens=3)
  fields = {"steps": 3, "rewards": {"random": 1.0}, "critic_optimizer": _QUICK} | fields
  if fields.get("critic") == "shared":
    del fields["critic_optimizer"]
  return config.PPO(rollout=sizes, optimizer=_QUICK, **fields)


def _flat(tree):
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def _saved(stage, tmp_path):
  stages_test.run({"ppo": stage}, tmp_path)
  checkpoints = stages_test.Checkpointer(str(tmp_path), config.Checkpoint())
  saved = checkpoints.saved(checkpoints.latest())["params"]
  checkpoints.close()
  return saved


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
  return _saved(_ppo(), tmp_path_factory.mktemp("plain"))


FIELDS = {
  "critic": {"critic": "shared"},
  "gamma": {"gamma": 0.5},
  "lam": {"lam": 0.5},
  "value_clip": {"value_clip": 0.001, "epochs": 3},
  "value_coefficient": {"value_coefficient": 1e-6},
  "critic_optimizer": {"critic_optimizer": config.Optimizer(lr=1e-3, min_lr=1e-3)},
  "critic_warmup": {"critic_warmup": 2},
  "shaping": {"shaping": config.Shaping()},
  "minibatches": {"minibatches": 2},
  "epochs": {"epochs": 2},
}


_OFTEN = ("critic", "gamma", "lam", "value_coefficient")


@pytest.mark.parametrize("name", quick.often(_OFTEN, FIELDS))
def test_every_field_changes_what_is_learned(name, plain, tmp_path):
  found = _saved(_ppo(**FIELDS[name]), tmp_path / "changed")
  if name == "value_clip":  # the first update is from the old values themselves
    plain = _saved(_ppo(epochs=3), tmp_path / "beside")
  if name == "critic":
    assert set(found) == {"policy", "head"}
  assert not np.array_equal(_flat(found), _flat(plain))


@pytest.mark.slow
def test_several_updates_on_copies_of_the_state_are_told_as_one_step(tmp_path):
  """Figures of updates are put together as those of one device: each of the four has its own."""
  own = stages_test.experiment({"ppo": _ppo(minibatches=1, epochs=2)})
  own.parallel = config.Parallel(mode="pmap")
  loop.run(own, str(tmp_path), say=lambda line: None)
  last = stages_test.lines(tmp_path)[-2]
  assert last["step"] == 3
  assert np.isfinite(last["value/explained_variance"])


def test_no_field_is_left_out():
  own = {f.name for f in dataclasses.fields(config.PPO)}
  grpo = {f.name for f in dataclasses.fields(config.GRPO)}
  assert own - grpo == FIELDS.keys() - {"shaping", "minibatches", "epochs"}


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"grouping": config.Grouping()}, "grouping=.* is of GRPO"),
    ({"selection": config.Selection(no_signal="drop")}, "selection=.* is of GRPO"),
    ({"shaping": config.Shaping(gdpo=True)}, "shaping.gdpo=True is of GRPO"),
    ({"loss": config.LossConfig(kl_coefficient=0.1, kl_place="returns")}, "is of GRPO"),
    ({"critic": "shared", "critic_warmup": 1}, "critic_warmup is of critic='separate'"),
    ({"critic_warmup": 3}, "leaves none of the stage's 3 steps"),
  ],
)
def test_what_it_would_not_read_is_refused(fields, said):
  with pytest.raises(config.ConfigError, match=said):
    config.check(_ppo(**fields))


def test_one_answer_a_prompt_is_enough():
  stage = _ppo()
  stage.rollout.group_size = 1
  config.check(stage)


@pytest.mark.fault(2)
@pytest.mark.slow
@pytest.mark.parametrize("critic", ["separate", "shared"])
def test_a_killed_run_ends_as_if_it_had_not_been(critic, tmp_path):
  stages = {"sft": stages_test._sft(), "ppo": _ppo(critic=critic, steps=4, minibatches=2)}
  stages_test.run(stages, tmp_path / "whole", every=2)

  def kill(line):
    if line.startswith("ppo 3/4"):
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    loop.run(stages_test.experiment(stages, every=2), str(tmp_path / "parts"), say=kill)
  stages_test.run(stages, tmp_path / "parts", every=2)
  np.testing.assert_array_equal(
    stages_test.params(tmp_path / "whole"), stages_test.params(tmp_path / "parts")
  )


@pytest.mark.slow
def test_a_critic_learns_to_expect_the_reward(tmp_path):
  """A reward that the first token decides: explained variance rises from nothing."""
  path = tmp_path / "reward.py"
  path.write_text("def low(prompt, completion, fields):\n  return float(completion[:1] < '5')\n")
  optimizer = config.Optimizer(lr=3e-3, min_lr=3e-3)
  stage = _ppo(steps=40, rewards={f"{path}:low": 1.0}, critic_optimizer=optimizer, lam=1.0)
  stage.optimizer = config.Optimizer(lr=1e-6, min_lr=1e-6)
  stage.rollout.prompts = 32
  stages_test.run({"ppo": stage}, tmp_path / "run")
  lines = [line for line in stages_test.lines(tmp_path / "run") if "value/loss" in line]
  first, last = lines[:5], lines[-5:]
  assert np.mean([line["value/explained_variance"] for line in first]) < 0.06
  assert np.mean([line["value/explained_variance"] for line in last]) > 0.12


def test_the_reward_falls_on_the_last_token_and_the_kl_on_each():
  mask = jnp.array([[[True, True, False], [True, True, True]]])
  stage = _ppo(
    gamma=1.0,
    lam=1.0,
    shaping=config.Shaping(),
    loss=config.LossConfig(kl_coefficient=0.5, kl_place="reward"),
  )
  kl = jnp.array([[[0.2, 0.4, jnp.nan], [0.0, 0.0, 0.0]]])
  rewards = jnp.array([[1.0, jnp.nan]])
  advantages, returns = token_advantages(rewards, jnp.zeros((1, 2, 3)), mask, stage, kl=kl)
  np.testing.assert_allclose(returns[0, 0], [1 - 0.1 - 0.2, 1 - 0.2, 0], rtol=1e-6)
  np.testing.assert_array_equal(advantages[0, 1], 0)  # it could not be scored
