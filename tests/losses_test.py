"""The policy loss by hand, against the float64 reference with gradients, and its invariances."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.losses import aggregate, kl_estimate, policy_loss
from grpo_jax.metrics import read
from tests import references

P, G, T = 3, 4, 5
AGGREGATIONS = ["token_mean", "sequence_mean", "constant", "sequence_sum", "prompt_mean"]
NAN = float("nan")

CONFIGS = {
  "ppo_clip": {},
  "dapo": {"clip_high": 0.28, "aggregation": "token_mean"},
  "dual_clip": {"dual_clip": 1.5},
  "reinforce": {"objective": "reinforce"},
  "k1": {"kl_coefficient": 0.3, "kl_estimator": "k1"},
  "k2": {"kl_coefficient": 0.3, "kl_estimator": "k2"},
  "k3": {"kl_coefficient": 0.3, "kl_estimator": "k3"},
  "entropy": {"entropy_coefficient": 0.1},
  "truncate": {"sampler_correction": "truncate"},
  "truncate_low": {"sampler_correction": "truncate", "sampler_cap": 0.9},
  "mask_truncated": {"mask_truncated": True},
  "gspo": {"objective": "gspo", "clip_low": 0.04, "clip_high": 0.05},
  "gspo_token": {"objective": "gspo_token", "clip_low": 0.04, "clip_high": 0.05},
  "cispo": {"objective": "cispo", "ratio_cap": 1.2},
  "cispo_floor": {"objective": "cispo", "ratio_cap": 1.2, "ratio_floor": 0.9},
  "gmpo": {"objective": "gmpo", "clip_low": 0.2, "clip_high": 0.3},
  "sapo": {"objective": "sapo", "tau_positive": 1.5, "tau_negative": 2.0},
  "kl_unbiased": {"kl_coefficient": 0.3, "kl_unbiased": True},
  "k1_unbiased": {"kl_coefficient": 0.3, "kl_unbiased": True, "kl_estimator": "k1"},
  "icepop": {"sampler_correction": "icepop", "sampler_floor": 0.7, "sampler_cap": 1.5},
  "sequence_mask": {"sampler_correction": "sequence_mask", "sampler_sequence_cap": 1.1},
  "entropy_top": {"entropy_top": 0.2},
  "everything_sequence": {
    "objective": "gspo",
    "clip_low": 0.03,
    "clip_high": 0.05,
    "aggregation": "token_mean",
    "kl_coefficient": 0.05,
    "kl_unbiased": True,
    "entropy_coefficient": 0.02,
    "entropy_top": 0.5,
    "sampler_correction": "icepop",
    "mask_truncated": True,
  },
  "everything": {
    "clip_low": 0.1,
    "clip_high": 0.3,
    "dual_clip": 2.0,
    "aggregation": "prompt_mean",
    "kl_coefficient": 0.05,
    "entropy_coefficient": -0.02,
    "sampler_correction": "truncate",
    "mask_truncated": True,
  },
  **{mode: {"aggregation": mode} for mode in AGGREGATIONS},
}


def inputs(seed=0) -> dict:
  """Ratios on both sides of every bound, lengths from 0 to T, answers cut and not."""
  rng = np.random.default_rng(seed)
  logprobs = -rng.exponential(1.0, (P, G, T))
  lengths = rng.integers(1, T + 1, (P, G))
  lengths[0, 1] = 0
  return {
    "logprobs": logprobs,
    "old_logprobs": logprobs + rng.normal(size=(P, G, T)) * 0.4,
    "advantages": rng.normal(size=(P, G)),
    "mask": np.arange(T) < lengths[..., None],
    "ref_logprobs": logprobs + rng.normal(size=(P, G, T)) * 0.5,
    "sampler_logprobs": logprobs + rng.normal(size=(P, G, T)) * 0.5,
    "entropy": rng.exponential(1.0, (P, G, T)),
    "finished": rng.random((P, G)) < 0.6,
    "kept": rng.random((P, G, T)) < 0.5,
    "length_budget": 7,
  }


def as_arrays(given: dict) -> dict:
  return {
    name: value if np.ndim(value) == 0 or isinstance(value, jax.Array) else _array(value)
    for name, value in given.items()
  }


def _array(value) -> jax.Array:
  return jnp.asarray(value, bool if value.dtype == bool else jnp.float32)


def call(given: dict, fields: dict):
  given = as_arrays(given)
  positional = [given.pop(name) for name in ("logprobs", "old_logprobs", "advantages", "mask")]
  return policy_loss(*positional, config.LossConfig(**fields), **given)


def loss(given: dict, **fields) -> float:
  return float(call(given, fields)[0])


def gradient(given: dict, fields: dict, name="logprobs") -> np.ndarray:
  def function(value):
    return call({**given, name: value}, fields)[0]

  return np.asarray(jax.grad(function)(jnp.asarray(given[name], jnp.float32)))


def one(logprob=0.0, old=0.0, advantage=1.0, **others) -> dict:
  """A batch of one token."""
  given = {"logprobs": [[[logprob]]], "old_logprobs": [[[old]]], "advantages": [[advantage]]}
  given |= {name: [[[value]]] for name, value in others.items()}
  return {**{n: np.array(v) for n, v in given.items()}, "mask": np.ones((1, 1, 1), bool)}


# --- one token, by hand


@pytest.mark.parametrize(
  ("ratio", "advantage", "expected", "slope"),
  [
    (1.0, 2.0, -2.0, -2.0),
    (1.1, 2.0, -2.2, -2.2),
    (1.5, 2.0, -2.4, 0.0),  # above the upper bound: held at 1.2 and no gradient
    (0.5, 2.0, -1.0, -1.0),  # below, but the pessimistic side is the ratio itself
    (1.5, -2.0, 3.0, 3.0),  # Pitfall 13: for A < 0 the ratio is unbounded above
    (0.5, -2.0, 1.6, 0.0),
    (0.9, -2.0, 1.8, 1.8),
    (1.5, 0.0, 0.0, 0.0),
  ],
)
def test_ppo_clip_by_hand(ratio, advantage, expected, slope):
  given = one(math.log(ratio), 0.0, advantage)
  np.testing.assert_allclose(loss(given), expected, rtol=1e-6)
  np.testing.assert_allclose(gradient(given, {}).item(), slope, rtol=1e-6)


@pytest.mark.parametrize(
  ("ratio", "advantage", "expected", "slope"),
  [
    (2.0, -1.0, 2.0, 2.0),
    (5.0, -1.0, 3.0, 0.0),
    (5.0, 1.0, -1.2, 0.0),  # positive advantages know no dual clip
    (0.5, -1.0, 0.8, 0.0),
  ],
)
def test_dual_clip_by_hand(ratio, advantage, expected, slope):
  """Pitfall 13: the loss of a token with A < 0 stays under 3 |A|."""
  given = one(math.log(ratio), 0.0, advantage)
  np.testing.assert_allclose(loss(given, dual_clip=3.0), expected, rtol=1e-6)
  np.testing.assert_allclose(gradient(given, {"dual_clip": 3.0}).item(), slope, rtol=1e-6)


def test_the_bounds_are_two():
  assert loss(one(math.log(1.25)), clip_high=0.28) == pytest.approx(-1.25)
  assert loss(one(math.log(1.35)), clip_high=0.28) == pytest.approx(-1.28)
  assert loss(one(math.log(0.5), advantage=-1.0), clip_low=0.4) == pytest.approx(0.6)


def test_reinforce_by_hand():
  given = one(-1.5, 0.0, 2.0)
  assert loss(given, objective="reinforce") == pytest.approx(3.0)
  assert gradient(given, {"objective": "reinforce"}).item() == pytest.approx(-2.0)


@pytest.mark.parametrize(("advantage", "sign"), [(1.0, -1), (-1.0, 1)])
@pytest.mark.parametrize("log_ratio", [21.0, 90.0, 1e4])
def test_the_log_ratio_is_clamped_at_20_above(log_ratio, advantage, sign):
  """Pitfall 12: exp of a large difference is infinite, and infinity times 0 is NaN."""
  expected = -1.2 if advantage > 0 else math.exp(20.0)
  given = one(log_ratio - 1e4, -1e4, advantage)
  np.testing.assert_allclose(loss(given), expected, rtol=1e-3)
  assert np.isfinite(gradient(given, {})).all()
  assert sign * loss(given) > 0


@pytest.mark.parametrize("log_ratio", [-21.0, -90.0, -1e4])
def test_the_log_ratio_is_clamped_at_20_below(log_ratio):
  np.testing.assert_allclose(loss(one(log_ratio, 0.0, 1.0)), -math.exp(-20.0), rtol=1e-3)
  assert np.isfinite(gradient(one(log_ratio), {})).all()


def test_inside_the_clamp_the_ratio_is_itself():
  np.testing.assert_allclose(loss(one(19.0, 0.0, -1.0)), math.exp(19.0), rtol=1e-5)


# --- KL


@pytest.mark.parametrize(
  ("kind", "expected"),
  [("k1", -math.log(2)), ("k2", math.log(2) ** 2 / 2), ("k3", 1 - math.log(2))],
)
def test_kl_by_hand(kind, expected):
  """pi_ref is twice pi: x = log 2."""
  result = kl_estimate(jnp.array([-3.0]), jnp.array([-3.0 + math.log(2)]), kind)
  np.testing.assert_allclose(result, [expected], rtol=1e-5)


def test_k3_is_the_default():
  x, y = jnp.array([-1.0, -2.0]), jnp.array([-1.5, -0.5])
  np.testing.assert_array_equal(kl_estimate(x, y), kl_estimate(x, y, "k3"))


@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_kl_of_equals_is_exactly_zero(kind):
  logprobs = -jax.random.exponential(jax.random.key(0), (100,))
  np.testing.assert_array_equal(kl_estimate(logprobs, logprobs, kind), 0)


@pytest.mark.parametrize("kind", ["k2", "k3"])
def test_kl_is_never_negative(kind):
  """For near equals e^x - x - 1 is a difference of almost equals: rounding must not go below."""
  x = jnp.linspace(-3, 3, 1001)
  assert (kl_estimate(jnp.zeros(1001), x, kind) >= 0).all()
  x = jnp.linspace(-1e-3, 1e-3, 1001)
  assert (kl_estimate(jnp.full(1001, -2.0), -2.0 + x, kind) >= 0).all()


@pytest.mark.parametrize("x", [1e-3, -1e-3, 3e-4])
def test_k3_of_near_equals_is_accurate(x):
  """e^x - x - 1 written as such has one digit left at x = 1e-3 in float32; expm1 keeps three."""
  result = kl_estimate(jnp.zeros(1), jnp.array([x]), "k3")
  np.testing.assert_allclose(result, [x * x / 2 + x**3 / 6], rtol=1e-3)


@pytest.mark.parametrize("kind", ["k1", "k2", "k3"])
def test_kl_and_its_gradient_against_the_reference(kind):
  """Pitfall 15: the gradient is the estimator's own, whatever it estimates."""
  rng = np.random.default_rng(1)
  logprobs, ref = rng.normal(size=20) - 3, rng.normal(size=20) - 3

  def total(values):
    pairs = zip(values, ref, strict=True)
    return sum(references.kl_estimate(a, b, kind) for a, b in pairs)

  ours = jax.grad(lambda x: kl_estimate(x, jnp.asarray(ref, jnp.float32), kind).sum())
  np.testing.assert_allclose(
    ours(jnp.asarray(logprobs, jnp.float32)),
    references.finite_differences(total, logprobs),
    rtol=1e-4,
    atol=1e-5,
  )


@pytest.mark.parametrize("kind", ["k1", "k2"])
def test_k1_and_k2_by_expectation(kind):
  """Under pi, k1 has the mean KL(pi, ref) and the gradient of k2 that of the KL itself."""
  logits, ref = jnp.array([0.3, -1.0, 0.7]), jnp.array([0.0, 0.5, 0.1])
  log_ref = jax.nn.log_softmax(ref)

  def exact(z):
    log_pi = jax.nn.log_softmax(z)
    return jnp.sum(jnp.exp(log_pi) * (log_pi - log_ref))

  def estimated(z):
    log_pi = jax.nn.log_softmax(z)
    p = jax.lax.stop_gradient(jnp.exp(log_pi))
    return jnp.sum(p * kl_estimate(log_pi, log_ref, kind))

  if kind == "k1":
    np.testing.assert_allclose(estimated(logits), exact(logits), rtol=1e-5)
  else:
    np.testing.assert_allclose(jax.grad(estimated)(logits), jax.grad(exact)(logits), rtol=1e-4)


def test_kl_of_far_apart_is_finite():
  """Pitfall 12: a token the reference finds far likelier must not overflow the loss."""
  far = kl_estimate(jnp.array([-200.0, -1.0]), jnp.array([-1.0, -200.0]), "k3")
  assert np.isfinite(far).all()
  slope = jax.grad(lambda x: kl_estimate(x, jnp.array([-1.0]), "k3").sum())(jnp.array([-200.0]))
  assert np.isfinite(slope).all()


# --- aggregation

VALUES = np.array([[[1.0, 2.0, 3.0], [4.0, NAN, NAN]], [[6.0, 8.0, NAN], [NAN, NAN, NAN]]])
MASK = ~np.isnan(VALUES)


@pytest.mark.parametrize(
  ("mode", "expected"),
  [
    ("token_mean", 24 / 6),
    ("sequence_mean", (2 + 4 + 7) / 3),
    ("sequence_sum", (6 + 4 + 14) / 3),
    ("constant", 24 / (3 * 10)),
    ("prompt_mean", (10 / 4 + 14 / 2) / 2),
  ],
)
def test_aggregation_by_hand(mode, expected):
  """Three answers of 3, 1 and 2 tokens and one without any; budget 10. NaN stands in the mask."""
  result = aggregate(jnp.asarray(VALUES), jnp.asarray(MASK), mode, length_budget=10)
  np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_aggregation_against_the_reference(mode):
  given = inputs(2)
  values = given["advantages"][..., None] * given["logprobs"]
  result = aggregate(jnp.asarray(values), jnp.asarray(given["mask"]), mode, length_budget=9)
  expected = references.aggregate(values, given["mask"], mode, 9)
  np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_extra_padding_changes_nothing(mode):
  """Property 2; the constant divisor is the budget, not the array's width."""
  values, mask = jnp.asarray(VALUES), jnp.asarray(MASK)
  wide = [
    jnp.pad(x, ((0, 0), (0, 0), (0, 4)), constant_values=c) for x, c in [(values, NAN), (mask, 0)]
  ]
  np.testing.assert_array_equal(
    aggregate(*wide, mode, length_budget=10), aggregate(values, mask, mode, length_budget=10)
  )


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_an_added_answer_without_tokens_changes_nothing(mode):
  values, mask = jnp.asarray(VALUES), jnp.asarray(MASK)
  more = [
    jnp.pad(x, ((0, 0), (0, 3), (0, 0)), constant_values=c) for x, c in [(values, NAN), (mask, 0)]
  ]
  np.testing.assert_allclose(
    aggregate(*more, mode, length_budget=10),
    aggregate(values, mask, mode, length_budget=10),
    rtol=1e-6,
  )


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_an_added_prompt_without_tokens_changes_nothing(mode):
  values, mask = jnp.asarray(VALUES), jnp.asarray(MASK)
  more = [
    jnp.pad(x, ((0, 1), (0, 0), (0, 0)), constant_values=c) for x, c in [(values, NAN), (mask, 0)]
  ]
  np.testing.assert_allclose(
    aggregate(*more, mode, length_budget=10),
    aggregate(values, mask, mode, length_budget=10),
    rtol=1e-6,
  )


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_nothing_at_all_is_zero_and_has_no_gradient(mode):
  mask = jnp.zeros((2, 2, 3), bool)

  def function(values):
    return aggregate(values, mask, mode, length_budget=10)

  value, slope = jax.value_and_grad(function)(jnp.full((2, 2, 3), NAN))
  assert value == 0
  np.testing.assert_array_equal(slope, 0)


@pytest.mark.parametrize("mode", AGGREGATIONS)
def test_masked_values_do_not_count(mode):
  """Pitfall 18: neither NaN nor a large number behind the mask; their gradient is exactly 0."""
  mask = jnp.asarray(MASK)

  def function(values):
    return aggregate(values, mask, mode, length_budget=10)

  one, two = (jnp.where(mask, jnp.asarray(VALUES), x) for x in (NAN, 1e30))
  np.testing.assert_array_equal(function(one), function(two))
  for values in (one, two):
    slope = jax.grad(function)(values)
    np.testing.assert_array_equal(slope[~mask], 0)
    assert (slope[mask] > 0).all()


def test_an_unknown_mode_is_refused():
  with pytest.raises((ValueError, KeyError), match="average"):
    aggregate(jnp.ones((1, 1, 1)), jnp.ones((1, 1, 1), bool), "average")


# --- the whole loss, against the reference


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_value_against_the_reference(name, seed):
  given = inputs(seed)
  expected = references.policy_loss(config=config.LossConfig(**CONFIGS[name]), **given)
  np.testing.assert_allclose(loss(given, **CONFIGS[name]), expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_gradient_against_finite_differences(name):
  given = inputs(3)
  settings = config.LossConfig(**CONFIGS[name])

  def reference(logprobs):
    still = (given["logprobs"], given["old_logprobs"])
    return references.policy_loss(**{**given, "logprobs": logprobs}, config=settings, fixed=still)

  expected = references.finite_differences(reference, given["logprobs"])
  ours = gradient(given, CONFIGS[name])
  np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)
  assert np.abs(expected).max() > 1e-3


def test_gradient_of_the_entropy_bonus():
  """A positive coefficient pays for entropy: its gradient is minus coefficient over tokens."""
  fields = {"entropy_coefficient": 0.1, "aggregation": "token_mean"}
  given = inputs()
  expected = np.where(given["mask"], -0.1 / given["mask"].sum(), 0)
  np.testing.assert_allclose(gradient(given, fields, "entropy"), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["old_logprobs", "advantages", "ref_logprobs", "sampler_logprobs"])
def test_no_gradient_but_through_the_policy(name):
  """Pitfall 14: data is data, even where the caller forgot to stop its gradient."""
  np.testing.assert_array_equal(gradient(inputs(), CONFIGS["everything"], name), 0)


# --- on-policy


@pytest.mark.parametrize("jit", [False, True])
def test_on_policy_the_ratio_is_exactly_1_and_nothing_is_clipped(jit):
  """Pitfall 11, property 4: old is the step's own, stop-gradiented."""
  given = as_arrays(inputs())

  def function(logprobs):
    old = jax.lax.stop_gradient(logprobs)
    return policy_loss(logprobs, old, given["advantages"], given["mask"], config.LossConfig())

  function = jax.jit(function) if jit else function
  value, metrics = function(given["logprobs"])
  figures = read(metrics)
  assert figures["policy/clip_low"] == figures["policy/clip_high"] == 0
  assert figures["policy/ratio_max"] == 1
  assert figures["policy/kl_old"] == 0
  kept = given["mask"].any(-1)
  np.testing.assert_allclose(value, -jnp.mean(given["advantages"][kept]), rtol=1e-5)


def test_on_policy_the_gradient_is_reinforce():
  given = as_arrays(inputs())

  def function(logprobs, fields):
    old = jax.lax.stop_gradient(logprobs)
    settings = config.LossConfig(**fields)
    return policy_loss(logprobs, old, given["advantages"], given["mask"], settings)[0]

  ppo = jax.grad(function)(given["logprobs"], {})
  reinforce = jax.grad(function)(given["logprobs"], {"objective": "reinforce"})
  np.testing.assert_allclose(ppo, reinforce, rtol=1e-6)
  assert np.abs(ppo).max() > 0.01


def test_no_signal_no_gradient():
  """Pitfall 10, property 5: exactly zero."""
  given = {**inputs(), "advantages": np.zeros((P, G))}
  for name in ("ppo_clip", "dual_clip", "reinforce", "truncate"):
    np.testing.assert_array_equal(gradient(given, CONFIGS[name]), 0)
    assert loss(given, **CONFIGS[name]) == 0


def test_groups_without_signal_still_count_and_still_feel_the_kl():
  """Pitfall 10: their tokens are in the denominator."""
  given = inputs()
  given["advantages"][1:] = 0
  given["mask"][:] = True
  alone = {name: x if np.ndim(x) == 0 else x[:1] for name, x in given.items()}
  for mode in AGGREGATIONS:
    np.testing.assert_allclose(
      loss(given, aggregation=mode), loss(alone, aggregation=mode) / P, rtol=1e-5
    )
  assert np.abs(gradient(given, CONFIGS["k3"])[1:]).min() > 0


# --- sampler correction


@pytest.mark.parametrize(("w", "expected"), [(0.5, -0.5), (1.9, -1.9), (2.5, -2.0), (1e9, -2.0)])
def test_truncated_importance_sampling_by_hand(w, expected):
  """w = pi_old / mu, capped at 2; Pitfall 6."""
  given = one(-1.0, -1.0, 1.0, sampler_logprobs=-1.0 - math.log(w))
  assert loss(given, sampler_correction="truncate") == pytest.approx(expected, rel=1e-5)
  slope = gradient(given, {"sampler_correction": "truncate"}).item()
  assert slope == pytest.approx(expected, rel=1e-5)


def test_the_correction_weighs_the_policy_term_only():
  """The KL is to the reference under the policy's own tokens; mu has no part in it."""
  given = one(-1.0, -1.0, 0.0, sampler_logprobs=-3.0, ref_logprobs=-2.0)
  plain = loss(given, kl_coefficient=1.0)
  assert loss(given, kl_coefficient=1.0, sampler_correction="truncate") == pytest.approx(plain)


def test_without_a_correction_the_sampler_changes_nothing():
  given = inputs()
  shifted = {**given, "sampler_logprobs": given["sampler_logprobs"] - 1}
  assert loss(given) == loss(shifted)


def test_a_sampler_that_agrees_changes_nothing():
  given = inputs()
  given["sampler_logprobs"] = given["old_logprobs"]
  np.testing.assert_allclose(loss(given, sampler_correction="truncate"), loss(given), rtol=1e-6)


@pytest.mark.parametrize("gap", [0.1, 30.0, 90.0, -90.0])
def test_mismatch_metrics_stay_finite(gap):
  """Logged wherever the sampler is known, by hand for one token, finite for any gap."""
  figures = read(call(one(-1.0, -1.0, 1.0, sampler_logprobs=-1.0 - gap), {})[1])
  assert figures["mismatch/log_mean"] == pytest.approx(abs(gap), rel=1e-5)
  assert figures["mismatch/log_max"] == pytest.approx(abs(gap), rel=1e-5)
  if abs(gap) < 1:
    assert figures["mismatch/k3"] == pytest.approx(math.exp(gap) - gap - 1, rel=1e-4)
  assert np.isfinite(figures["mismatch/k3"])


def test_ratio_metrics_by_hand():
  """A clip counts where it bites: above for A > 0, below for A < 0; over unmasked tokens."""
  ratios = np.array([[[1.5, 0.5, 1.0, 9.0]], [[1.5, 0.5, 0.7, 9.0]]])
  given = {
    "logprobs": np.log(ratios),
    "old_logprobs": np.zeros_like(ratios),
    "advantages": np.array([[1.0], [-1.0]]),
    "mask": np.array([[[1, 1, 1, 0]], [[1, 1, 1, 0]]], bool),
  }
  figures = read(call(given, {})[1])
  assert figures["policy/clip_high"] == pytest.approx(1 / 6)
  assert figures["policy/clip_low"] == pytest.approx(2 / 6)
  assert figures["policy/ratio_max"] == pytest.approx(1.5)
  kept = ratios[given["mask"]]
  assert figures["policy/kl_old"] == pytest.approx(np.mean(kept - 1 - np.log(kept)), rel=1e-5)


def test_the_largest_ratio_is_of_an_unmasked_token():
  given = one(math.log(0.7))
  given = {n: np.pad(x, [(0, 0)] * 2 + [(0, 1)] * (x.ndim - 2)) for n, x in given.items()}
  assert read(call(given, {})[1])["policy/ratio_max"] == pytest.approx(0.7)


def test_the_kl_to_the_reference_is_logged():
  given = inputs()
  pairs = zip(given["logprobs"][given["mask"]], given["ref_logprobs"][given["mask"]], strict=True)
  expected = np.mean([references.kl_estimate(a, b, "k3") for a, b in pairs])
  figures = read(call(given, CONFIGS["k3"])[1])
  assert figures["policy/kl_ref"] == pytest.approx(expected, rel=1e-4)


# --- what must be given


@pytest.mark.parametrize(
  ("fields", "missing"),
  [
    ({"kl_coefficient": 0.1}, "ref_logprobs"),
    ({"sampler_correction": "truncate"}, "sampler_logprobs"),
    ({"entropy_coefficient": 0.1}, "entropy"),
    ({"mask_truncated": True}, "finished"),
  ],
)
def test_what_a_term_needs_is_asked_for_by_name(fields, missing):
  given = {name: x for name, x in inputs().items() if name != missing}
  with pytest.raises((ValueError, AssertionError), match=missing):
    loss(given, **fields)


@pytest.mark.parametrize(
  "shapes",
  [
    {"advantages": (P * G,)},
    {"advantages": (P, G, 1)},
    {"advantages": (G, P)},
    {"mask": (P, G)},
    {"old_logprobs": (P, G)},
    {"old_logprobs": (P, 1, T)},
    {"ref_logprobs": (P, G, 1)},
    {"sampler_logprobs": (1, G, T)},
  ],
)
def test_shapes_that_would_broadcast_are_refused(shapes):
  """Pitfall 26."""
  (name, shape), given = next(iter(shapes.items())), inputs()
  given[name] = np.ones(shape, given[name].dtype)
  with pytest.raises((ValueError, AssertionError)):
    loss(given, **CONFIGS["everything"])


# --- masks


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf, -1e30])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_is_masked_reaches_neither_value_nor_gradient(name, bad):
  """Pitfalls 12 and 18, property 6: `where` before the arithmetic."""
  clean = inputs()
  dirty = dict(clean)
  for field in ("logprobs", "old_logprobs", "ref_logprobs", "sampler_logprobs", "entropy"):
    dirty[field] = np.where(clean["mask"], clean[field], bad)
  assert loss(dirty, **CONFIGS[name]) == loss(clean, **CONFIGS[name])
  np.testing.assert_array_equal(gradient(dirty, CONFIGS[name]), gradient(clean, CONFIGS[name]))
  np.testing.assert_array_equal(gradient(dirty, CONFIGS[name])[~clean["mask"]], 0)


@pytest.mark.parametrize("name", ["ppo_clip", "everything"])
def test_metrics_do_not_see_what_is_masked(name):
  clean = inputs()
  dirty = dict(clean)
  for field in ("logprobs", "old_logprobs", "ref_logprobs", "sampler_logprobs", "entropy"):
    dirty[field] = np.where(clean["mask"], clean[field], NAN)
  ours, expected = (read(call(given, CONFIGS[name])[1]) for given in (dirty, clean))
  assert ours == expected
  assert np.isfinite(list(ours.values())).all()


def test_the_advantage_of_a_masked_answer_is_not_read():
  given = inputs()
  assert not given["mask"][0, 1].any()
  before, slope = loss(given), gradient(given, {})
  given["advantages"][0, 1] = NAN
  assert loss(given) == before
  np.testing.assert_array_equal(gradient(given, {}), slope)


def test_mask_truncated_drops_what_the_budget_cut():
  """Pitfall 4: as if those answers had no token."""
  given = inputs()
  dropped = {**given, "mask": given["mask"] & given["finished"][..., None]}
  assert (dropped["mask"] != given["mask"]).any()
  for mode in AGGREGATIONS:
    masked = loss(given, mask_truncated=True, aggregation=mode)
    np.testing.assert_allclose(masked, loss(dropped, aggregation=mode), rtol=1e-6)
    assert masked != pytest.approx(loss(given, aggregation=mode), rel=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_padding_changes_nothing(name):
  given = inputs()
  wide = dict(given)
  for field, value in given.items():
    if np.ndim(value) == 3:
      wide[field] = np.pad(value, ((0, 0), (0, 0), (0, 3)))
  np.testing.assert_allclose(loss(wide, **CONFIGS[name]), loss(given, **CONFIGS[name]), rtol=1e-6)
  slope = gradient(wide, CONFIGS[name])
  np.testing.assert_allclose(slope[..., :T], gradient(given, CONFIGS[name]), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", CONFIGS)
def test_permuting_answers_permutes_the_gradient(name):
  given, order = inputs(), [2, 0, 3, 1]
  permuted = {n: x if np.ndim(x) == 0 else x[:, order] for n, x in given.items()}
  np.testing.assert_allclose(
    loss(permuted, **CONFIGS[name]), loss(given, **CONFIGS[name]), rtol=1e-5
  )
  np.testing.assert_allclose(
    gradient(permuted, CONFIGS[name]), gradient(given, CONFIGS[name])[:, order], rtol=1e-5
  )


@pytest.mark.parametrize("name", ["ppo_clip", "everything", "constant"])
def test_an_all_masked_answer_changes_nothing(name):
  given = inputs()
  more = dict(given)
  for field, value in given.items():
    if np.ndim(value):
      more[field] = np.concatenate([value, np.zeros_like(value[:, :1])], axis=1)
  np.testing.assert_allclose(loss(more, **CONFIGS[name]), loss(given, **CONFIGS[name]), rtol=1e-6)


def test_constant_divides_by_the_budget_not_by_the_width():
  given = inputs()
  half = loss({**given, "length_budget": 14}, aggregation="constant")
  np.testing.assert_allclose(half * 2, loss(given, aggregation="constant"), rtol=1e-6)


# --- form


@pytest.mark.parametrize("name", CONFIGS)
def test_jit_changes_nothing(name):
  given = as_arrays(inputs())
  budget = given.pop("length_budget")
  settings = config.LossConfig(**CONFIGS[name])

  def function(given):
    given = dict(given)
    first = [given.pop(n) for n in ("logprobs", "old_logprobs", "advantages", "mask")]
    return policy_loss(*first, settings, length_budget=budget, **given)

  plain, plain_metrics = function(given)
  jitted, jitted_metrics = jax.jit(function)(given)
  np.testing.assert_allclose(jitted, plain, rtol=1e-5)
  assert read(jitted_metrics) == pytest.approx(read(plain_metrics), rel=1e-4, abs=1e-6)


def test_the_loss_is_a_float32_scalar_of_any_type():
  """Pitfall 17."""
  given = as_arrays(inputs())
  low = [given[n].astype(jnp.bfloat16) for n in ("logprobs", "old_logprobs")]
  value, metrics = policy_loss(*low, given["advantages"], given["mask"], config.LossConfig())
  assert (value.shape, value.dtype) == ((), jnp.float32)
  assert all(metric.value.dtype == jnp.float32 for metric in metrics.values())


@pytest.mark.parametrize("name", config.PRESETS)
def test_every_preset_has_a_loss(name):
  given = inputs()
  settings = config.PRESETS[name].loss
  expected = references.policy_loss(config=settings, **given)
  arrays = as_arrays(given)
  first = [arrays.pop(n) for n in ("logprobs", "old_logprobs", "advantages", "mask")]
  np.testing.assert_allclose(policy_loss(*first, settings, **arrays)[0], expected, rtol=2e-5)
