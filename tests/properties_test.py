"""What must hold of every preset: rewards -> advantages -> loss and its gradient, as one function.

Property 1 is in steps/invariance_test.py; 8 and 9 are of the decoder and the rollout (model/,
rollout_test.py, logprobs_test.py), 10 of the sampler (sampling_test.py).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.advantages import make_advantages
from grpo_jax.losses import policy_loss
from grpo_jax.metrics import read
from tests import references

P, G, T = 3, 4, 5
NAN = float("nan")
every_preset = pytest.mark.parametrize("name", config.PRESETS)


def batch() -> dict[str, np.ndarray]:
  """Rewards that tie and differ, answers of 1 to T tokens, ratios about 1, a ragged mask."""
  rng = np.random.default_rng(0)
  logprobs = -rng.exponential(1.0, (P, G, T))
  return {
    "rewards": np.array([[0.0, 1.0, 1.0, 0.3], [0.2, 0.0, 0.7, 0.7], [1.0, 0.0, 0.0, 0.0]]),
    "second": rng.random((P, G)),
    "mask": np.arange(T) < rng.integers(1, T + 1, (P, G))[..., None],
    "logprobs": logprobs,
    "old_logprobs": logprobs + rng.normal(size=(P, G, T)) * 0.3,
    "sampler_logprobs": logprobs + rng.normal(size=(P, G, T)) * 0.3,
    "finished": rng.random((P, G)) < 0.7,
  }


def _stage(name: str, **loss) -> config.GRPO:
  algorithm = config.preset(name)
  if loss:
    algorithm.loss = dataclasses.replace(algorithm.loss, **loss)
  stage = config.GRPO(rollout=config.Rollout(max_tokens=T), **algorithm)
  config.check(stage)
  return stage


def advantages(given: dict, stage: config.GRPO) -> jax.Array:
  parts = np.stack([given["rewards"], given["second"]])
  total = parts[0] + (0.5 * parts[1] if stage.shaping.gdpo else 0)
  return make_advantages(
    jnp.asarray(total, jnp.float32),
    jnp.asarray(parts, jnp.float32),
    jnp.array([1.0, 0.5]),
    jnp.asarray(given["mask"]),
    stage,
  )


def _learned(given: dict, stage: config.GRPO):
  """The loss, its gradient by log-prob, and its metrics."""
  weights = advantages(given, stage)
  rest = {n: jnp.asarray(given[n]) for n in ("sampler_logprobs", "finished")}

  def loss(logprobs):
    old, mask = jnp.asarray(given["old_logprobs"]), jnp.asarray(given["mask"])
    return policy_loss(logprobs, old, weights, mask, stage.loss, length_budget=T, **rest)

  logprobs = jnp.asarray(given["logprobs"], jnp.float32)
  (value, metrics), slope = jax.value_and_grad(loss, has_aux=True)(logprobs)
  return float(value), np.asarray(slope), read(metrics)


@every_preset
def test_permuting_answers_permutes_the_gradient(name):
  """Property 2; pitfall 9: an answer's reward stays with its tokens."""
  given, order = batch(), [2, 0, 3, 1]
  value, slope, _ = _learned(given, _stage(name))
  permuted = {key: array[:, order] for key, array in given.items()}
  again, permuted_slope, _ = _learned(permuted, _stage(name))
  assert again == pytest.approx(value, rel=1e-4, abs=1e-6)
  np.testing.assert_allclose(permuted_slope, slope[:, order], rtol=1e-4, atol=1e-6)


@every_preset
def test_an_answer_without_tokens_or_score_changes_nothing(name):
  """Property 2, and pitfall 24: another row is another answer only if it has tokens."""
  given = batch()
  value, slope, _ = _learned(given, _stage(name))
  more = {key: np.concatenate([array, array[:, :1]], axis=1) for key, array in given.items()}
  more["mask"][:, -1] = False
  more["rewards"][:, -1] = NAN
  again, more_slope, _ = _learned(more, _stage(name))
  assert again == pytest.approx(value, rel=1e-4, abs=1e-6)
  np.testing.assert_allclose(more_slope[:, :G], slope, rtol=1e-4, atol=1e-6)
  assert (more_slope[:, G:] == 0).all()


@every_preset
def test_padding_changes_nothing(name):
  """Property 2."""
  given = batch()
  value, slope, _ = _learned(given, _stage(name))
  wide = {
    key: np.pad(array, ((0, 0), (0, 0), (0, 3))) if array.ndim == 3 else array
    for key, array in given.items()
  }
  again, wide_slope, _ = _learned(wide, _stage(name))
  assert again == pytest.approx(value, rel=1e-5, abs=1e-7)
  np.testing.assert_allclose(wide_slope[..., :T], slope, rtol=1e-5, atol=1e-7)


@every_preset
def test_a_constant_added_to_the_rewards_of_a_prompt(name):
  """Property 3. MaxRL divides by the mean; REINFORCE++ has no baseline but the batch's mean."""
  given, stage = batch(), _stage(name)
  moved = {**given, "rewards": given["rewards"] + np.array([[5.0], [0.0], [-2.0]])}
  same = np.allclose(advantages(moved, stage), advantages(given, stage), rtol=1e-4, atol=1e-5)
  assert same == (name not in ("maxrl", "reinforce_pp"))


@every_preset
def test_rewards_of_another_scale(name):
  """Property 3: a std takes the scale out, with its eps; MaxRL's mean and whitening do so too."""
  given, stage = batch(), _stage(name)
  scaled = {**given, "rewards": given["rewards"] * 8, "second": given["second"] * 8}
  same = np.allclose(advantages(scaled, stage), advantages(given, stage), rtol=2e-3)
  assert same == (name not in ("dr_grpo", "rloo"))


@every_preset
def test_the_first_update_has_ratio_one_and_cuts_nothing(name):
  """Property 4 and pitfall 11: exactly, and the gradient is then REINFORCE's."""
  given = batch()
  given["old_logprobs"] = given["logprobs"]
  _, slope, figures = _learned(given, _stage(name))
  assert figures["policy/ratio_max"] == 1
  assert figures["policy/clip_low"] == figures["policy/clip_high"] == 0
  assert figures["policy/kl_old"] == 0
  _, plain, _ = _learned(given, _reinforce(name))
  np.testing.assert_allclose(slope, plain, rtol=1e-4, atol=1e-7)


def _reinforce(name: str) -> config.GRPO:
  """The preset with the plain policy gradient in the place of its objective."""
  stage = _stage(name)
  stage.loss = config.LossConfig(objective="reinforce", aggregation=stage.loss.aggregation)
  return stage


@every_preset
def test_a_group_without_signal_has_exactly_no_gradient(name):
  """Properties 5 and 6, pitfall 8: rewards that differ by rounding only are equal."""
  given = batch()
  given["rewards"][1], given["second"][1] = 0.7, 0.2
  given["rewards"][1, 2] += 1e-7
  _, slope, _ = _learned(given, _stage(name))
  if name == "reinforce_pp":  # an answer learns from its own reward, less the batch's mean
    assert (slope[1] != 0).any()
  else:
    assert (slope[1] == 0).all()
  assert (advantages(given, _stage(name))[0] != 0).any()


@every_preset
def test_a_batch_without_signal_has_exactly_no_gradient(name):
  """Property 5, also where the batch's own mean is the baseline."""
  given = batch()
  given["rewards"][:], given["second"][:] = 0.7, 0.2
  value, slope, _ = _learned(given, _stage(name))
  assert (slope == 0).all()
  assert value == 0


@every_preset
@pytest.mark.parametrize("bad", [NAN, np.inf, 1e30])
def test_what_is_masked_reaches_neither_value_nor_gradient(name, bad):
  """Property 6 and pitfall 18."""
  given = batch()
  value, slope, _ = _learned(given, _stage(name))
  dirty = dict(given)
  for key in ("logprobs", "old_logprobs", "sampler_logprobs"):
    dirty[key] = np.where(given["mask"], given[key], bad)
  again, dirty_slope, _ = _learned(dirty, _stage(name))
  assert again == value
  np.testing.assert_array_equal(dirty_slope, slope)


def test_gspo_and_its_token_form_have_the_same_gradient():
  """Property 7, where sequences are averaged and where some are cut."""
  wide = {"clip_low": 0.04, "clip_high": 0.04}
  _, slope, figures = _learned(batch(), _stage("gspo", **wide))
  _, token_slope, _ = _learned(batch(), _stage("gspo", objective="gspo_token", **wide))
  np.testing.assert_allclose(token_slope, slope, rtol=1e-5, atol=1e-8)
  assert figures["policy/clip_low"] + figures["policy/clip_high"] > 0


@every_preset
def test_value_and_gradient_against_the_plain_formulas(name):
  """Property 11, of the whole: advantages and loss in float64, the gradient by differences."""
  given, stage = batch(), _stage(name)
  weights = np.asarray(advantages(given, stage), np.float64)
  np.testing.assert_allclose(weights, _plain(given, stage), rtol=1e-4, atol=1e-5)
  still = (given["logprobs"], given["old_logprobs"])

  def plain(logprobs):
    names = ("old_logprobs", "mask", "sampler_logprobs", "finished")
    rest = {key: given[key] for key in names}
    return references.policy_loss(
      logprobs, advantages=weights, config=stage.loss, fixed=still, length_budget=T, **rest
    )

  value, slope, _ = _learned(given, stage)
  assert value == pytest.approx(plain(given["logprobs"]), rel=1e-4, abs=1e-6)
  expected = references.finite_differences(plain, given["logprobs"])
  np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5)


def _plain(given: dict, stage: config.GRPO) -> np.ndarray:
  grouping = dict(stage.grouping)
  if stage.shaping.gdpo:
    parts = [given["rewards"], given["second"]]
    return references.gdpo_advantages(parts, [1.0, 0.5], **grouping)
  found = references.group_advantages(given["rewards"], **grouping)
  if not stage.shaping.whiten:
    return found
  wide = np.broadcast_to(found[..., None], given["mask"].shape)
  return references.normalized(wide, given["mask"])
