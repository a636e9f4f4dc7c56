"""The GRPO update: the gradient does not depend on how the batch is cut."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import config, losses, metrics
from grpo_jax.config import LossConfig
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model import Network
from grpo_jax.parallel import Devices
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout

P, G, S, T = 4, 3, 5, 6
NETWORK = Network(
  config.Architecture(
    vocab_size=17, hidden_size=16, layers=2, heads=2, kv_heads=1, head_size=8, ffn_size=24
  ),
  remat=False,
)


def _params():
  rng = np.random.default_rng(0)
  shapes = NETWORK.abstract()
  return jax.tree.map(lambda s: jnp.asarray(rng.normal(0, 0.3, s.shape), jnp.float32), shapes)


def _batch(*, advantages=None, old=True) -> Batch:
  rng = np.random.default_rng(1)
  starts, lengths = rng.integers(0, S - 1, P), rng.integers(1, T + 1, (P, G))
  rollout = Rollout(
    prompts=Prompts(
      jnp.asarray(rng.integers(0, 17, (P, S)), jnp.int32), jnp.arange(S) >= starts[:, None]
    ),
    tokens=jnp.asarray(rng.integers(0, 17, (P, G, T)), jnp.int32),
    mask=jnp.arange(T) < lengths[..., None],
    logprobs=jnp.asarray(rng.normal(-2, 0.3, (P, G, T)), jnp.float32),
    finished=jnp.asarray(rng.random((P, G)) < 0.7),
  )
  if advantages is None:
    advantages = rng.normal(size=(P, G))
  return Batch(
    rollout,
    rewards=jnp.zeros((P, G)),
    advantages=jnp.asarray(advantages, jnp.float32),
    old_logprobs=rollout.logprobs if old else None,
  )


def _update(batch: Batch, loss: LossConfig, micro_batches: int = 1, devices: Devices | None = None):
  """Parameters after one step of plain gradient descent (lr 1), and the metrics."""
  devices = devices or Devices(1, None)
  step = make_grpo_step(
    NETWORK,
    loss,
    optax.identity(),
    lambda _: 1.0,
    temperature=0.8,
    micro_batches=micro_batches,
    axis_name=devices.axis_name,
  )
  state = devices.replicate(init_state(_params(), optax.identity()))
  state, figures = devices.compile(step)(state, devices.split(batch))
  return devices.first(state.params), metrics.read(devices.first(figures))


def _assert_close(left, right, atol=2e-6):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), left, right)


def _direct(batch: Batch, loss: LossConfig):
  """theta - gradient of policy_loss on the whole batch at once."""

  def value(params):
    logprobs, entropy = answer_logprobs(NETWORK, params, batch.rollout, temperature=0.8)
    return losses.policy_loss(
      logprobs, batch.old_logprobs, batch.advantages, batch.rollout.mask, loss, entropy=entropy,
      finished=batch.rollout.finished,
    )[0]  # fmt: skip

  params = _params()
  return jax.tree.map(jnp.subtract, params, jax.grad(value)(params))


def test_the_policy_moved():
  before, (after, _) = _params(), _update(_batch(), LossConfig())
  assert (
    max(jax.tree.leaves(jax.tree.map(lambda a, b: float(abs(a - b).max()), before, after))) > 1e-3
  )


@pytest.mark.parametrize(
  ("parts", "devices"),
  [
    pytest.param(1, None, marks=pytest.mark.slow),
    pytest.param(2, None, marks=pytest.mark.slow),
    (4, None),
    (1, Devices(4, "d")),
  ],
)
def test_prompts_without_signal_are_left_out_and_still_counted(parts, devices):
  """Pitfalls 7 and 10: their gradient is exactly zero, their tokens stay in the denominator.

  Every preset in invariance_test.py, on a toy; here the decoder itself.
  """
  advantages = np.array([[0, 0, 0], [1, -1, 0], [0, 0, 0], [0.5, 0.5, -1]])
  batch, loss = _batch(advantages=advantages), LossConfig(aggregation="token_mean")
  expected = _direct(batch, loss)
  params, _ = _update(batch, loss, parts, devices)
  _assert_close(expected, params)


@pytest.mark.fault(17)
@pytest.mark.parametrize("devices", [Devices(1, None), Devices(2, "d")])
def test_a_batch_without_any_signal_moves_nothing(devices):
  params, figures = _update(_batch(advantages=np.zeros((P, G))), LossConfig(), 1, devices)
  jax.tree.map(np.testing.assert_array_equal, params, _params())
  assert figures["train/skipped"] == 1


def test_a_kl_term_pulls_on_prompts_without_signal_too():
  loss = LossConfig(kl_coefficient=0.5)
  batch = _batch(advantages=np.zeros((P, G)))
  batch = dataclasses.replace(batch, ref_logprobs=batch.rollout.logprobs - 0.5)
  params, figures = _update(batch, loss, 2)
  assert figures["train/skipped"] == 0
  assert not np.allclose(params["embed"], _params()["embed"])


def test_the_first_update_of_a_rollout_has_ratio_one():
  """Pitfall 11: without old log-probs they are the step's own."""
  _, figures = _update(_batch(old=False), LossConfig(), 2)
  assert figures["policy/ratio_max"] == 1
  assert figures["policy/clip_low"] == figures["policy/clip_high"] == 0
  assert figures["policy/kl_old"] == 0


def test_a_gradient_that_is_not_finite_is_not_applied():
  advantages = np.ones((P, G))
  advantages[1, 1] = np.inf
  params, figures = _update(_batch(advantages=advantages), LossConfig())
  jax.tree.map(np.testing.assert_array_equal, params, _params())
  assert figures["train/skipped"] == 1


def test_an_answer_without_a_score_has_no_part_in_any_term():
  """Its tokens leave the denominators, and a KL or entropy term does not move it."""
  loss = LossConfig(kl_coefficient=0.5, entropy_coefficient=0.1, aggregation="token_mean")
  batch = _batch()
  batch = dataclasses.replace(batch, ref_logprobs=batch.rollout.logprobs - 0.5)
  rewards = np.zeros((P, G), np.float32)
  rewards[1, 2] = np.nan
  unscored, _ = _update(dataclasses.replace(batch, rewards=rewards), loss)
  mask = np.array(batch.rollout.mask)
  mask[1, 2] = False
  gone = dataclasses.replace(batch.rollout, mask=jnp.asarray(mask))
  expected, _ = _update(dataclasses.replace(batch, rollout=gone), loss)
  _assert_close(expected, unscored, atol=1e-7)


def test_what_is_masked_changes_nothing():
  """Pitfall 18: tokens after the stop token may be anything."""
  batch = _batch()
  rollout = batch.rollout
  noise = dataclasses.replace(
    rollout,
    tokens=jnp.where(rollout.mask, rollout.tokens, 3),
    logprobs=jnp.where(rollout.mask, rollout.logprobs, jnp.nan),
  )
  expected, _ = _update(batch, LossConfig())
  old = jnp.where(rollout.mask, batch.old_logprobs, jnp.nan)
  params, _ = _update(dataclasses.replace(batch, rollout=noise, old_logprobs=old), LossConfig())
  _assert_close(expected, params, atol=1e-7)
