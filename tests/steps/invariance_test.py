"""Property 1: the gradient of every preset does not depend on how its batch is cut or padded."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grpo_jax import config, losses, metrics
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model import ANYWHERE
from grpo_jax.parallel import Devices
from grpo_jax.steps import make_grpo_step
from grpo_jax.steps.update import init_state
from grpo_jax.types import Batch, Prompts, Rollout

P, G, S, T, V = 4, 3, 4, 5, 11
BUDGET = 7
# Micro-batches on one device; four devices.
CUTS = [(2, Devices(1, None)), (4, Devices(1, None)), (1, Devices(4, "d"))]


class _Toy:
  """What a step asks of a network; answers depend on all that comes before, prompts included.

  The decoder's own invariances are tests of tests/model; compiling it for every cut of every
  preset would take many minutes.
  """

  logprob_chunk, dtype, place = 16, "float32", ANYWHERE

  def answers(self, params, prompts, tokens):
    asked = jnp.where(prompts.mask[..., None], params["embed"][prompts.tokens], 0).sum(1)
    told = jnp.cumsum(params["embed"][tokens], axis=2)
    before = jnp.concatenate([jnp.zeros_like(told[:, :, :1]), told[:, :, :-1]], axis=2)
    return jnp.tanh(asked[:, None, None] + before) @ params["mix"]

  def head(self, params):
    return params["embed"]


NETWORK: Any = _Toy()
EVERY_TERM = config.LossConfig(
  aggregation="prompt_mean",
  dual_clip=3.0,
  kl_coefficient=0.1,
  kl_unbiased=True,
  entropy_coefficient=0.05,
  entropy_top=0.5,
  sampler_correction="truncate",
  mask_truncated=True,
)


def _by_loss() -> dict[config.LossConfig, str]:
  """Every preset; those that differ in advantages alone share a loss, and are named together."""
  names: dict[config.LossConfig, list[str]] = {EVERY_TERM: ["every_term"]}
  for name, algorithm in config.PRESETS.items():
    names.setdefault(algorithm.loss, []).append(name)
  return {loss: "=".join(same) for loss, same in names.items()}


every_preset = pytest.mark.parametrize("loss", _by_loss(), ids=_by_loss().values())


def _params():
  rng = np.random.default_rng(0)
  return {
    "embed": jnp.asarray(rng.normal(0, 0.5, (V, 6)), jnp.float32),
    "mix": jnp.asarray(rng.normal(0, 0.5, (6, 6)), jnp.float32),
  }


def _batch() -> Batch:
  """Answers of 1 to T tokens, one wholly masked, one group without signal, ratios about 1."""
  rng = np.random.default_rng(1)
  lengths = rng.integers(1, T + 1, (P, G))
  lengths[2, 1] = 0
  tokens = rng.integers(0, V, (P, G, T)).astype(np.int32)
  prompts = Prompts(
    rng.integers(0, V, (P, S)).astype(np.int32),
    np.arange(S) >= rng.integers(0, S - 1, P)[:, None],
  )
  mask = np.arange(T) < lengths[..., None]
  rollout = Rollout(
    prompts, tokens, mask, np.zeros((P, G, T), np.float32), rng.random((P, G)) < 0.7
  )
  own = np.asarray(answer_logprobs(NETWORK, _params(), rollout, temperature=0.8)[0])
  near = lambda: (own + rng.normal(0, 0.2, own.shape)).astype(np.float32)  # noqa: E731
  advantages = rng.normal(size=(P, G)).astype(np.float32)
  advantages[1] = 0
  return Batch(
    dataclasses.replace(rollout, logprobs=near()),
    rewards=np.zeros((P, G), np.float32),
    advantages=advantages,
    old_logprobs=near(),
    ref_logprobs=near(),
    kept=rng.random((P, G, T)) < 0.6,
  )


@functools.cache
def _step(loss: config.LossConfig, parts: int, devices: Devices):
  return devices.compile(
    make_grpo_step(
      NETWORK,
      loss,
      optax.identity(),
      lambda _: 1.0,
      temperature=0.8,
      length_budget=BUDGET,
      micro_batches=parts,
      axis_name=devices.axis_name,
    )
  )


def _gradient(batch: Batch, loss, parts: int = 1, devices: Devices | None = None):
  """Minus what one step of plain descent with lr 1 added, and the step's metrics."""
  devices = devices or Devices(1, None)
  state = devices.replicate(init_state(_params(), optax.identity()))
  state, figures = _step(loss, parts, devices)(state, devices.split(batch))
  after = devices.first(state.params)
  return jax.tree.map(lambda a, b: np.asarray(a - b), _params(), after), metrics.read(
    devices.first(figures)
  )


def _assert_same(left, right):
  """Within a few units of the last place of the largest entry."""
  largest = max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(left))
  assert largest > 1e-4
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=3e-6 * max(largest, 1)), left, right
  )


@every_preset
def test_the_step_takes_the_gradient_of_the_loss(loss):
  """The whole batch at once, by jax.grad of policy_loss: nothing is lost on the way."""
  batch = _batch()

  def value(params):
    logprobs, entropy = answer_logprobs(NETWORK, params, batch.rollout, temperature=0.8)
    return losses.policy_loss(
      logprobs,
      batch.old_logprobs,
      batch.advantages,
      batch.rollout.mask,
      loss,
      ref_logprobs=batch.ref_logprobs,
      sampler_logprobs=batch.rollout.logprobs,
      entropy=entropy,
      finished=batch.rollout.finished,
      kept=batch.kept,
      length_budget=BUDGET,
    )[0]

  _assert_same(_gradient(batch, loss)[0], jax.jit(jax.grad(value))(_params()))


# Of each kind of ratio and denominator one; the others are alike.
_QUICK = ("every_term", "gspo", "cispo", "dr_grpo")


@pytest.mark.parametrize(
  "loss",
  [
    pytest.param(loss, id=name, marks=() if name in _QUICK else pytest.mark.slow)
    for loss, name in _by_loss().items()
  ],
)
def test_any_cut_gives_the_same_gradient(loss):
  """Pitfall 7: denominators are of the whole batch, not of a micro-batch, a device or a bucket."""
  batch = _batch()
  expected, figures = _gradient(batch, loss)
  for parts, devices in CUTS:
    found, cut_figures = _gradient(batch, loss, parts, devices)
    _assert_same(expected, found)
    for figure, value in figures.items():
      assert cut_figures[figure] == pytest.approx(value, rel=1e-4, abs=1e-6), figure
  # Bucketed: answers of like length share a micro-batch.
  order = np.argsort(batch.rollout.mask.sum((1, 2)))
  bucketed = jax.tree.map(lambda leaf: leaf[order], batch)
  _assert_same(expected, _gradient(bucketed, loss, 2)[0])
  _assert_same(expected, _gradient(_padded(batch), loss)[0])


def _padded(batch: Batch) -> Batch:
  """Properties 1 and 2, pitfall 2: wider prompts, more room for answers, NaN in what is masked."""
  rollout = batch.rollout
  prompts = Prompts(
    np.pad(rollout.prompts.tokens, ((0, 0), (2, 0)), constant_values=3),
    np.pad(rollout.prompts.mask, ((0, 0), (2, 0))),
  )

  def wide(leaf, value):
    leaf = np.where(rollout.mask, leaf, value).astype(leaf.dtype)
    return np.pad(leaf, ((0, 0), (0, 0), (0, 2)), constant_values=value)

  return dataclasses.replace(
    batch,
    rollout=dataclasses.replace(
      rollout,
      prompts=prompts,
      tokens=wide(rollout.tokens, 5),
      mask=wide(rollout.mask, False),
      logprobs=wide(rollout.logprobs, np.nan),
    ),
    old_logprobs=wide(batch.old_logprobs, np.nan),
    ref_logprobs=wide(batch.ref_logprobs, np.nan),
    kept=wide(batch.kept, True),
  )
