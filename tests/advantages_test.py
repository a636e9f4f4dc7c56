"""From scored answers to advantages, as a stage's fields ask for it."""

import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.advantages import make_advantages, policy_kl
from tests import references

P, G, T = 3, 4, 6
NAN = float("nan")


def _given(seed=0):
  rng = np.random.default_rng(seed)
  lengths = rng.integers(1, T + 1, (P, G))
  return {
    "rewards": rng.normal(size=(P, G)),
    "mask": np.arange(T) < lengths[..., None],
    "kl": np.abs(rng.normal(size=(P, G, T))),
  }


def _made(given, stage, kl=False):
  advantages = make_advantages(
    jnp.asarray(given["rewards"], jnp.float32),
    jnp.asarray(given["rewards"], jnp.float32)[None],
    jnp.ones(1),
    jnp.asarray(given["mask"]),
    stage,
    kl=jnp.asarray(given["kl"], jnp.float32) if kl else None,
  )
  return np.asarray(advantages)


def _stage(**fields):
  stage = config.GRPO(rollout=config.Rollout(max_tokens=T), **fields)
  config.check(stage)
  return stage


def test_plain_advantages_are_those_of_the_group():
  given = _given()
  found = _made(given, _stage())
  np.testing.assert_allclose(found, references.group_advantages(given["rewards"]), rtol=1e-4)


def test_the_overlong_penalty_comes_before_the_comparison():
  given = _given()
  lengths = given["mask"].sum(-1)
  penalties = [[references.overlong_penalty(n, T, 3) for n in row] for row in lengths]
  assert np.min(penalties) == -1
  found = _made(given, _stage(shaping=config.Shaping(overlong_buffer=3)))
  expected = references.group_advantages(given["rewards"] + np.array(penalties))
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_equal_rewards_of_unequal_lengths_have_signal_under_the_penalty():
  given = _given()
  given["rewards"][:] = 1.0
  plain = _made(given, _stage())
  penalised = _made(given, _stage(shaping=config.Shaping(overlong_buffer=T)))
  assert (plain == 0).all()
  assert (penalised != 0).any(axis=-1).all()


def _with_kl(place):
  return config.LossConfig(kl_coefficient=0.3, kl_place=place)


def test_kl_in_the_reward():
  given = _given()
  found = _made(given, _stage(loss=_with_kl("reward")), kl=True)
  total = np.where(given["mask"], given["kl"], 0).sum(-1)
  expected = references.group_advantages(given["rewards"] - 0.3 * total)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_kl_in_the_returns_of_reinforce_pp():
  """Whitened over all tokens: r - beta sum_{s >= t} KL_s."""
  given = _given()
  stage = _stage(**(dict(config.preset("reinforce_pp")) | {"loss": _with_kl("returns")}))
  found = _made(given, stage, kl=True)
  raw = given["rewards"][..., None] - 0.3 * references.answer_returns(given["kl"], given["mask"])
  expected = references.normalized(raw, given["mask"])
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  kept = found[given["mask"]]
  assert kept.mean() == pytest.approx(0, abs=1e-5)
  assert kept.std() == pytest.approx(1, abs=1e-4)
  assert (found[~given["mask"]] == 0).all()


def test_what_could_not_be_scored_is_no_part_of_whitening():
  given = _given()
  given["rewards"][1, 2] = NAN
  found = _made(given, _stage(**config.preset("reinforce_pp")))
  assert (found[1, 2] == 0).all()
  scored = given["mask"] & ~np.isnan(given["rewards"])[..., None]
  assert found[scored].mean() == pytest.approx(0, abs=1e-5)


def test_gdpo_takes_penalties_as_one_more_reward():
  given = _given()
  shaping = config.Shaping(gdpo=True, overlong_buffer=3)
  found = _made(given, _stage(shaping=shaping))
  lengths = given["mask"].sum(-1)
  penalties = np.array([[references.overlong_penalty(n, T, 3) for n in row] for row in lengths])
  expected = references.gdpo_advantages([given["rewards"], penalties], [1.0, 1.0])
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_policy_kl_is_the_estimator_of_the_config():
  stage = _stage(loss=config.LossConfig(kl_coefficient=0.1, kl_estimator="k1"))
  found = policy_kl(jnp.array([-1.0]), jnp.array([-1.5]), stage)
  np.testing.assert_allclose(found, [0.5])


@pytest.mark.parametrize("name", config.PRESETS)
def test_every_preset_has_finite_advantages_and_none_without_signal(name):
  """Properties 3 and 5, and pitfall 8: rewards equal but for rounding are equal."""
  given = _given()
  given["rewards"] = np.round(np.abs(given["rewards"]))
  given["rewards"][0] = 1.0
  given["rewards"][0, 0] += 1e-7
  stage = _stage(**config.preset(name))
  found = _made(given, stage)
  assert np.isfinite(found).all()
  if stage.grouping.baseline != "none":
    np.testing.assert_allclose(found[0], 0, atol=1e-6)


@pytest.mark.fault(40)
def test_gdpo_makes_no_signal_of_equal_penalties_beside_large_rewards():
  """Fault 40: (r + p) - r is p but for rounding, which z-scores would make +-1."""
  stage = config.GRPO(
    rollout=config.Rollout(max_tokens=6, group_size=4),
    shaping=config.Shaping(gdpo=True, overlong_buffer=3),
  )
  rewards = jnp.array([[100.3, 37.1, 2.2, 55.7]])
  mask = jnp.broadcast_to(jnp.arange(6) < 4, (1, 4, 6))
  found = make_advantages(rewards, rewards[None], jnp.zeros(1), mask, stage)
  np.testing.assert_array_equal(found, np.zeros((1, 4)))
