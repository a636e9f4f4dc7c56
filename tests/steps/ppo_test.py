"""The PPO step: the policy loss of GRPO, a critic's loss beside it, and what each part moves."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import config, metrics
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.parallel import Devices, make_devices
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.ppo import answer_values, init_ppo_params, init_ppo_state, make_ppo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Rollout
from tests import toys

NETWORK = toys.network(layers=1)
POLICY = toys.random_params(NETWORK)
_SGD = (optax.identity(), lambda _: 1.0)


def _params(shared):
  params = init_ppo_params(NETWORK, POLICY, shared=shared)
  head = {"weight": jnp.asarray(np.random.default_rng(1).normal(size=16), jnp.float32)}
  owner = params if shared else params["critic"]
  owner["head"] = owner["head"] | head
  return params


def _batch(noise=0.0, nan=False):
  rng = np.random.default_rng(2)
  shape = (4, 3, 5)
  mask = np.arange(5) < rng.integers(1, 6, size=(4, 3, 1))
  tokens = np.where(mask, rng.integers(toys.V, size=shape), 7).astype(np.int32)
  prompts = toys.prompts([[1, 2, 3], [4], [5, 6], [7, 8, 9, 10]])
  rollout = Rollout(prompts, tokens, mask, np.zeros(shape, np.float32), np.ones((4, 3), bool))
  logprobs, _ = answer_logprobs(NETWORK, POLICY, rollout)
  rollout = rollout.replace(logprobs=logprobs)
  old = logprobs + noise * rng.normal(size=shape).astype(np.float32)
  advantages, values, returns = rng.normal(size=(3, *shape)).astype(np.float32)
  rewards = rng.normal(size=(4, 3)).astype(np.float32)
  if nan:
    rewards[1, 2] = np.nan
    for leaf in (advantages, values, returns):
      leaf[1, 2] = np.nan
  return Batch(rollout, rewards, advantages, old, old_values=values, returns=returns)


def _update(batch, shared, devices=None, **fields):
  devices = devices or Devices(1, None)
  optimizers = {"policy": _SGD} | ({} if shared else {"critic": _SGD})
  fields = {"value_coefficient": 0.5, "value_clip": 0.2} | fields
  step = make_ppo_step(
    NETWORK, config.LossConfig(), optimizers, axis_name=devices.axis_name, **fields
  )
  params = _params(shared)
  state = devices.replicate(init_ppo_state(params, optimizers))
  state, figures = devices.compile(step)(state, devices.split(batch))
  gradient = jax.tree.map(lambda a, b: a - b, params, devices.first(state.params))
  return gradient, metrics.read(devices.first(figures))


def _same(left, right, atol=3e-6):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), left, right)


def _flat(tree):
  return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def test_the_policy_with_a_separate_critic_is_updated_as_grpo_does():
  batch = _batch(noise=0.3)
  step = make_grpo_step(NETWORK, config.LossConfig(), *_SGD)
  state, _ = jax.jit(step)(init_state(POLICY, _SGD[0]), batch)
  expected = jax.tree.map(lambda a, b: a - b, POLICY, state.params)
  _same(_update(batch, shared=False)[0]["policy"], expected)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [False, True])
def test_micro_batches_and_devices_change_nothing(shared):
  batch = _batch(noise=0.3)
  whole, figures = _update(batch, shared)
  for fields in (
    {"micro_batches": 2},
    {"micro_batches": 4},
    {"devices": make_devices(config.Parallel(mode="pmap"))},
  ):
    if "devices" in fields and 4 % jax.local_device_count():
      continue
    parts, others = _update(batch, shared, **fields)
    _same(whole, parts)
    for name, value in figures.items():
      assert others[name] == pytest.approx(value, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("shared", [False, True])
def test_a_critic_that_is_right_has_no_loss_and_does_not_move(shared):
  params, batch = _params(shared), _batch()
  values = answer_values(NETWORK, params, batch.rollout)
  batch = batch.replace(old_values=values, returns=values, advantages=jnp.zeros_like(values))
  gradient, figures = _update(batch, shared)
  assert figures["value/loss"] == pytest.approx(0, abs=1e-9)
  assert figures["value/explained_variance"] == pytest.approx(1)
  assert np.abs(_flat(gradient)).max() < 1e-6


def test_the_value_loss_and_explained_variance_are_over_all_tokens():
  batch, params = _batch(), _params(False)
  _, figures = _update(batch, False, value_clip=0.0, micro_batches=4)
  mask = batch.rollout.mask
  values = np.asarray(answer_values(NETWORK, params, batch.rollout), np.float64)[mask]
  returns = batch.returns[mask].astype(np.float64)
  assert figures["value/loss"] == pytest.approx(np.mean((values - returns) ** 2) / 2, rel=1e-4)
  explained = 1 - np.var(returns - values) / np.var(returns)
  assert figures["value/explained_variance"] == pytest.approx(explained, rel=1e-3)


def test_the_critics_gradient_by_finite_differences():
  batch, params = _batch(), _params(False)
  gradient, _ = _update(batch, False, value_clip=0.0, value_coefficient=1.0)
  mask, direction = batch.rollout.mask, np.random.default_rng(5).normal(size=16)

  def loss(shift):
    head = params["critic"]["head"]
    moved = head | {"weight": head["weight"] + shift * jnp.asarray(direction, jnp.float32)}
    critic = {"decoder": params["critic"]["decoder"], "head": moved}
    values = answer_values(NETWORK, {"policy": POLICY, "critic": critic}, batch.rollout)
    return float(np.mean((np.asarray(values) - batch.returns)[mask] ** 2) / 2)

  slope = (loss(1e-2) - loss(-1e-2)) / 2e-2
  assert gradient["critic"]["head"]["weight"] @ direction == pytest.approx(slope, rel=1e-3)


def test_the_first_update_of_a_rollout_has_ratio_one():
  figures = _update(_batch(), shared=True)[1]
  assert figures["policy/log_ratio_max"] < 1e-5
  assert figures["policy/clip_low"] == figures["policy/clip_high"] == 0


@pytest.mark.parametrize("shared", [False, True])
def test_an_answer_without_a_score_reaches_nothing(shared):
  """Pitfall: NaN in its reward, advantage, value and return."""
  gradient, figures = _update(_batch(nan=True), shared)
  assert np.isfinite(_flat(gradient)).all()
  assert np.isfinite(figures["value/loss"])


def test_in_the_warm_up_only_the_critic_moves():
  gradient, _ = _update(_batch(), shared=False, critic_warmup=1)
  assert np.abs(_flat(gradient["policy"])).max() == 0
  assert np.abs(_flat(gradient["critic"])).max() > 0
