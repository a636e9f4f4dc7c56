"""Scores of whole answers, and the update by preferences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import config, metrics
from grpo_jax.losses import bradley_terry
from grpo_jax.parallel import Devices, make_devices
from grpo_jax.steps.reward_model import init_params, make_reward_model_step, make_score
from grpo_jax.steps.update import init_state
from tests import toys

NETWORK = toys.network(layers=1)
ROWS = [[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]]
_RNG = np.random.default_rng(0)
TOKENS = _RNG.integers(toys.V, size=(4, 2, 5)).astype(np.int32)
MASK = np.arange(5) < _RNG.integers(1, 6, size=(4, 2, 1))


def _params():
  params = init_params(NETWORK, toys.random_params(NETWORK))
  params["head"]["weight"] = jnp.asarray(np.random.default_rng(1).normal(size=16), jnp.float32)
  return params


def test_a_score_is_the_head_at_the_last_token_of_a_plain_pass():
  """Pitfall 22: against prompt and answer as one row, without a shared prefix or padding."""
  params = _params()
  found = make_score(NETWORK)(params, toys.prompts(ROWS), TOKENS, MASK)
  for p, row in enumerate(ROWS):
    for g in range(2):
      whole = row + TOKENS[p, g][MASK[p, g]].tolist()
      hidden, _ = NETWORK.prefill(params["decoder"], toys.prompts([whole]))
      expected = hidden[0] @ params["head"]["weight"] + params["head"]["bias"]
      assert float(found[p, g]) == pytest.approx(float(expected), abs=1e-4)


def test_what_follows_the_last_token_and_padding_change_nothing():
  score, params = make_score(NETWORK), _params()
  plain = score(params, toys.prompts(ROWS), TOKENS, MASK)
  noisy = np.where(MASK, TOKENS, 3)
  wide = toys.prompts(ROWS, width=9, filler=5)
  longer = [np.pad(leaf, ((0, 0), (0, 0), (0, 3))) for leaf in (noisy, MASK)]
  np.testing.assert_allclose(score(params, wide, *longer), plain, atol=1e-5)


def test_a_new_model_is_undecided():
  params = init_params(NETWORK, toys.random_params(NETWORK))
  assert not np.any(make_score(NETWORK)(params, toys.prompts(ROWS), TOKENS, MASK))


def _update(micro_batches=1, devices=None, **fields):
  devices = devices or Devices(1, None)
  step = make_reward_model_step(
    NETWORK,
    optax.identity(),
    lambda _: 1.0,
    micro_batches=micro_batches,
    axis_name=devices.axis_name,
    **fields,
  )
  params = _params()
  state = devices.replicate(init_state(params, optax.identity()))
  pairs = (toys.prompts(ROWS), jnp.asarray(TOKENS), jnp.asarray(MASK))
  state, figures = devices.compile(step)(state, devices.split(pairs))
  gradient = jax.tree.map(lambda a, b: a - b, params, devices.first(state.params))
  return gradient, metrics.read(devices.first(figures))


def test_the_update_is_the_gradient_of_the_mean_loss():
  def loss(params):
    scores = make_score(NETWORK)(params, toys.prompts(ROWS), TOKENS, MASK)
    return jnp.mean(bradley_terry(scores[:, 0], scores[:, 1], margin=0.5, centering=0.1))

  value, expected = jax.value_and_grad(loss)(_params())
  gradient, figures = _update(margin=0.5, centering=0.1)
  assert figures["loss/reward_model"] == pytest.approx(float(value), rel=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-6), gradient, expected)


def test_micro_batches_and_devices_change_nothing():
  whole, figures = _update()
  cases = [{"micro_batches": 2}, {"micro_batches": 4}]
  if jax.local_device_count() > 1 and 4 % jax.local_device_count() == 0:
    cases.append({"devices": make_devices(config.Parallel(mode="pmap"))})
  for case in cases:
    parts, others = _update(**case)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-6), whole, parts)
    assert others["reward_model/accuracy"] == figures["reward_model/accuracy"]
    assert others["reward_model/margin"] == pytest.approx(figures["reward_model/margin"], rel=1e-4)
