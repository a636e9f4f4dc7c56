"""Advantages by hand, against the float64 reference, and what must not change them."""

import functools

import hypothesis
import hypothesis.extra.numpy
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from grpo_jax import config
from grpo_jax.grouping import group_advantages
from tests import references

NAN = float("nan")
VARIANTS = [
  {},
  {"ddof": 1, "eps": 1e-4},
  {"ddof": 1, "eps": 1e-9},
  {"ddof": 0, "eps": 1e-8},
  {"scale": "none"},
  {"scale": "batch_std"},
  {"scale": "batch_std", "ddof": 1},
  {"scale": "batch_reward_std", "ddof": 1, "eps": 1e-4},
  {"scale": "group_mean"},
  {"baseline": "leave_one_out", "scale": "none"},
  {"baseline": "leave_one_out"},
  {"baseline": "length_weighted", "scale": "none"},
  {"baseline": "length_weighted", "scale": "batch_std"},
  {"baseline": "none"},
  {"baseline": "none", "scale": "none"},
  {"baseline": "none", "scale": "batch_std"},
]
CENTRED = [v for v in VARIANTS if v.get("baseline") != "none"]


def advantages(rewards, **variant) -> np.ndarray:
  rewards = jnp.asarray(rewards, jnp.float32)
  if variant.get("baseline") == "length_weighted" and "lengths" not in variant:
    variant["lengths"] = lengths_of(rewards.shape)
  return np.asarray(group_advantages(rewards, **variant))


def lengths_of(shape) -> jnp.ndarray:
  return jnp.asarray(np.random.default_rng(0).integers(1, 50, shape), jnp.int32)


# --- by hand


def test_the_notes_z_score_by_hand():
  """Mean 2.5, population std sqrt(1.25): Pitfall 8."""
  expected = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
  np.testing.assert_allclose(advantages([[1, 2, 3, 4]], eps=0.0)[0], expected, rtol=1e-6)


def test_ddof_1_by_hand():
  """Pitfall 8: at G = 4 Bessel's std is 15 % larger."""
  ours, bessel = (advantages([[1, 2, 3, 4]], eps=0.0, ddof=ddof)[0] for ddof in (0, 1))
  np.testing.assert_allclose(bessel, np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(5 / 3), rtol=1e-6)
  np.testing.assert_allclose(ours / bessel, 1.1547005, rtol=1e-6)


def test_one_right_of_four_by_hand():
  """Mean 1/4, variance 3/16: the right one gets sqrt(3), the others -1/sqrt(3)."""
  expected = [3**0.5, -(3**-0.5), -(3**-0.5), -(3**-0.5)]
  np.testing.assert_allclose(advantages([[1, 0, 0, 0]], eps=0.0)[0], expected, rtol=1e-6)


def test_eps_is_added_to_the_std_not_to_the_variance():
  np.testing.assert_allclose(advantages([[1, 0]], eps=0.5), [[0.5, -0.5]], rtol=1e-6)


def test_dr_grpo_by_hand():
  np.testing.assert_allclose(advantages([[1, 2, 6]], scale="none"), [[-2, -1, 3]], atol=1e-6)


def test_leave_one_out_by_hand():
  result = advantages([[1, 2, 6]], baseline="leave_one_out", scale="none")
  np.testing.assert_allclose(result, [[1 - 4, 2 - 3.5, 6 - 1.5]], atol=1e-6)


def test_batch_reward_std_by_hand():
  """Around the mean of all, 22: (19^2 + 17^2 + 15^2 + 21^2) / 4 = 329."""
  result = advantages([[3, 5], [37, 43]], scale="batch_reward_std", eps=0.0)
  np.testing.assert_allclose(result, np.array([[-1, 1], [-3, 3]]) / 329**0.5, rtol=1e-6)


def test_batch_std_by_hand():
  """Centred rewards -1 1 -3 3 have std sqrt(5); a prompt's own level, 4 or 40, is no spread."""
  result = advantages([[3, 5], [37, 43]], scale="batch_std", eps=0.0)
  np.testing.assert_allclose(result, np.array([[-1, 1], [-3, 3]]) / np.sqrt(5), rtol=1e-6)


def test_maxrl_by_hand():
  result = advantages([[1, 0, 0, 0], [0, 0, 0, 0]], scale="group_mean", eps=0.0)
  np.testing.assert_allclose(result, [[3, -1, -1, -1], [0, 0, 0, 0]], rtol=1e-6)


def test_maxrl_is_zero_where_the_mean_is():
  np.testing.assert_array_equal(advantages([[1, -1], [0, 4]], scale="group_mean")[0], 0)


def test_length_weighted_by_hand():
  """OPO: the baseline is (10 * 1 + 30 * 0) / 40."""
  lengths = jnp.array([[10, 30]])
  result = advantages([[1, 0]], baseline="length_weighted", scale="none", lengths=lengths)
  np.testing.assert_allclose(result, [[0.75, -0.25]], rtol=1e-6)


def test_no_baseline_and_no_scale_is_the_reward():
  rewards = [[1.0, -2.0], [3.0, 3.0]]
  np.testing.assert_array_equal(advantages(rewards, baseline="none", scale="none"), rewards)


def test_one_answer_without_a_baseline_has_its_reward():
  """The one combination that config allows for group_size=1."""
  result = advantages([[1.0], [0.5]], baseline="none", scale="none")
  np.testing.assert_array_equal(result, [[1.0], [0.5]])


def test_no_baseline_scaled_by_the_batch():
  """A std is around the mean, also where no baseline was taken off: that of 0 2 4 6 is sqrt(5)."""
  rewards = np.array([[0.0, 2.0], [4.0, 6.0]])
  result = advantages(rewards, baseline="none", scale="batch_std", eps=0.0)
  np.testing.assert_allclose(result, rewards / np.sqrt(5), rtol=1e-6)


# --- against the reference


@pytest.mark.parametrize("missing", [0, 9])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_against_the_reference(variant, missing):
  rng = np.random.default_rng(1)
  rewards = rng.normal(size=(6, 5)).astype(np.float32) + 2
  rewards[3] = 2.0
  rewards[4] = [1, 0, 0, 1, 0]
  rewards.ravel()[rng.choice(30, missing, replace=False)] = NAN
  given = dict(variant, lengths=np.asarray(lengths_of(rewards.shape)))
  expected = references.group_advantages(rewards, **given)
  result = advantages(rewards, **variant)
  np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


# --- a reward that could not be scored


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_nan_reward_leaves_its_group(variant):
  """The rest has what it would have alone, and the unscored answer has exactly 0."""
  variant = dict(variant)
  alone_variant = dict(variant)
  if variant.get("baseline") == "length_weighted":
    variant["lengths"] = jnp.array([[3, 99, 5, 8]])
    alone_variant["lengths"] = jnp.array([[3, 5, 8]])
  together = advantages([[1.0, NAN, 3.0, 0.5]], **variant)
  alone = advantages([[1.0, 3.0, 0.5]], **alone_variant)
  assert together[0, 1] == 0
  np.testing.assert_allclose(together[0, [0, 2, 3]], alone[0], rtol=1e-6)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_group_that_could_not_be_scored_is_zero(variant):
  result = advantages([[NAN, NAN, NAN], [1.0, 0.0, 0.0]], **variant)
  np.testing.assert_array_equal(result[0], 0)
  assert np.isfinite(result).all()
  assert result[1].any()


@pytest.mark.parametrize("variant", CENTRED, ids=str)
def test_one_scored_answer_has_nothing_to_be_compared_with(variant):
  np.testing.assert_array_equal(advantages([[NAN, 5.0, NAN]], **variant), 0)


# --- groups without signal


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 0.1, 1e-8, 1000.1])
@pytest.mark.parametrize("variant", CENTRED, ids=str)
def test_equal_rewards_give_exactly_zero(variant, value):
  """Pitfall 10, and property 5 of ALGORITHMS: in float32 the mean of n times 0.1 is not 0.1."""
  for G in (2, 3, 7, 8):
    rewards = np.full((2, G), value, np.float32)
    rewards[1] = np.arange(G)
    np.testing.assert_array_equal(advantages(rewards, **variant)[0], 0)


@pytest.mark.fault(40)
@pytest.mark.parametrize("value", [1.0, 0.3, -2.0, 1000.0])
@pytest.mark.parametrize("variant", CENTRED, ids=str)
def test_rounding_is_no_signal(variant, value):
  """Pitfall 8: rewards apart by 1e-7 of their size must not become advantages of +-1."""
  rewards = np.array([[value, value * (1 + 1.2e-7), value, value * (1 - 1.2e-7)]], np.float32)
  assert len(np.unique(rewards)) > 1
  np.testing.assert_array_equal(advantages(rewards, **variant), 0)


@pytest.mark.fault(40)
def test_rounding_apart_from_zero_is_no_signal():
  np.testing.assert_array_equal(advantages([[0.0, 1e-7, 0.0, 0.0]]), 0)


@pytest.mark.parametrize("rewards", [[1.0, 1.01], [0.0, 0.001], [100.0, 101.0], [0.5, 0.501]])
def test_a_small_real_difference_is_signal(rewards):
  np.testing.assert_allclose(advantages([rewards]), [[-1, 1]], rtol=5e-3)


def test_a_group_without_signal_does_not_touch_the_others():
  alone = advantages([[1, 2, 4]])
  beside = advantages([[1, 2, 4], [7, 7, 7]])
  np.testing.assert_array_equal(beside[:1], alone)


# --- invariances


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_permuting_answers_permutes_advantages(variant):
  rewards = np.random.default_rng(2).normal(size=(3, 6))
  order = np.random.default_rng(3).permutation(6)
  variant = dict(variant)
  permuted = dict(variant)
  if variant.get("baseline") == "length_weighted":
    variant["lengths"] = lengths_of((3, 6))
    permuted["lengths"] = variant["lengths"][:, order]
  straight = advantages(rewards, **variant)
  np.testing.assert_allclose(
    advantages(rewards[:, order], **permuted), straight[:, order], rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_permuting_prompts_permutes_advantages(variant):
  """Pitfall 9: rewards tagged by their prompt stay with it."""
  rewards = np.random.default_rng(4).normal(size=(5, 4)) + 10 * np.arange(5)[:, None]
  order = [3, 0, 4, 1, 2]
  variant = {**variant, "lengths": lengths_of((5, 4))}
  permuted = {**variant, "lengths": variant["lengths"][jnp.array(order)]}
  np.testing.assert_allclose(
    advantages(rewards[order], **permuted), advantages(rewards, **variant)[order], rtol=1e-4
  )


@pytest.mark.parametrize("variant", [v for v in CENTRED if v.get("scale") != "group_mean"], ids=str)
def test_adding_a_constant_to_a_prompt_changes_nothing(variant):
  rewards = np.random.default_rng(5).integers(0, 4, (3, 6)).astype(np.float32)
  shifted = rewards + 8.0
  np.testing.assert_allclose(
    advantages(shifted, **variant), advantages(rewards, **variant), rtol=1e-5, atol=1e-6
  )


def test_adding_a_constant_to_one_prompt_changes_no_group_z_score():
  rewards = np.random.default_rng(5).integers(0, 4, (3, 6)).astype(np.float32)
  shifted = rewards + np.array([[0.0], [16.0], [-4.0]], np.float32)
  np.testing.assert_allclose(advantages(shifted), advantages(rewards), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [0.5, 2.0, 64.0])
def test_scaling_changes_no_z_score(factor):
  rewards = np.random.default_rng(6).normal(size=(3, 6)).astype(np.float32)
  for variant in ({}, {"ddof": 1}, {"scale": "batch_std"}):
    np.testing.assert_allclose(
      advantages(rewards * factor, **variant), advantages(rewards, **variant), rtol=2e-5
    )


def test_scaling_scales_what_is_not_divided():
  rewards = np.random.default_rng(7).normal(size=(3, 6)).astype(np.float32)
  np.testing.assert_allclose(
    advantages(rewards * 4, scale="none"), 4 * advantages(rewards, scale="none"), rtol=1e-6
  )


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
  hypothesis.extra.numpy.arrays(
    np.float32,
    (2, 4),
    elements=st.one_of(st.integers(-512, 512).map(lambda n: n / 64), st.just(NAN)),
  )
)
def test_any_rewards_give_finite_bounded_centred_scores(rewards):
  """|z| of one among n is at most sqrt(n - 1), and a group's scores sum to 0."""
  result = np.asarray(_jitted(rewards))
  assert np.isfinite(result).all()
  assert np.abs(result).max() <= np.sqrt(3) + 1e-3
  np.testing.assert_allclose(result.sum(axis=1), 0, atol=5e-3)
  assert (result[np.isnan(rewards)] == 0).all()


_jitted = jax.jit(group_advantages)


# --- form


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_jit_changes_nothing(variant):
  rewards = jnp.asarray(np.random.default_rng(8).normal(size=(3, 4)), jnp.float32)
  if variant.get("baseline") == "length_weighted":
    variant = {**variant, "lengths": lengths_of((3, 4))}
  jitted = jax.jit(functools.partial(group_advantages, **variant))
  expected = group_advantages(rewards, **variant)
  assert expected.dtype == jnp.float32
  np.testing.assert_allclose(jitted(rewards), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", config.PRESETS)
def test_presets_are_keyword_arguments(name):
  rewards = np.array([[1.0, 0.0, 0.5, 0.0]])
  grouping = config.PRESETS[name].grouping
  result = group_advantages(jnp.asarray(rewards), **grouping)
  np.testing.assert_allclose(
    result, references.group_advantages(rewards, **grouping), rtol=1e-4, atol=1e-6
  )


@pytest.mark.parametrize("shape", [(8,), (2, 4, 1)])
def test_rewards_of_another_rank_are_refused(shape):
  """Pitfall 26: (N,) against (N,1) would broadcast to (N,N) without a word."""
  with pytest.raises((AssertionError, ValueError)):
    group_advantages(jnp.zeros(shape))


@pytest.mark.parametrize("bad", [{"baseline": "median"}, {"scale": "std"}])
def test_unknown_names_are_refused(bad):
  with pytest.raises((ValueError, KeyError), match=next(iter(bad.values()))):
    group_advantages(jnp.ones((2, 4)), **bad)


def test_a_length_weighted_baseline_needs_lengths():
  with pytest.raises((ValueError, AssertionError), match="length"):
    group_advantages(jnp.ones((2, 4)), baseline="length_weighted")


def test_no_gradient_flows_through_advantages_of_equal_rewards():
  """Pitfall 12: a z-score differentiated at std 0 must not be NaN where a reward is learned."""
  gradient = jax.grad(lambda r: group_advantages(r).sum())(jnp.ones((2, 4)))
  assert np.isfinite(gradient).all()
