"""The kernels of NVIDIA GPUs, interpreted here: against `attention`, alone and within a network."""

import dataclasses
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model import decode, fused
from grpo_jax.model.attention import group_attention
from grpo_jax.model.network import _attend, _joined, _ungrouped
from grpo_jax.model.placement import Placement
from grpo_jax.parallel import Devices, make_devices
from grpo_jax.parallel.ahead import AbsentDevices
from grpo_jax.rollout import make_rollout
from tests import toys

P, K, G, R, S, H = 3, 2, 4, 3, 11, 16
STARTS = jnp.array([0, 4, 10])
MASK = jnp.arange(S) >= STARTS[:, None]


def noise(*shape, seed=0):
  return jnp.asarray(np.random.default_rng([seed, *shape]).normal(size=shape), jnp.float32)


def a_step(T: int) -> tuple:
  own, prompts = (P, K, G, T, H), (P, K, S, H)
  prefix = (noise(*prompts), noise(*prompts, seed=1))
  return noise(P, K, G, R, H), noise(*own), noise(*own, seed=1), prefix


def one_kernel(query, keys, values, prefix, t, starts=STARTS, interpret=True):
  return fused.decode_attention(query, keys, values, prefix, starts, t, interpret=interpret)


def expected_step(query, keys, values, prefix, t):
  seen = (jnp.arange(keys.shape[3]) <= t)[None, None, None]
  prefix = (*prefix, MASK[:, None])
  return group_attention(query[:, :, :, :, None], keys, values, seen, prefix=prefix)[..., 0, :]


@pytest.mark.parametrize(("T", "t"), [(1, 0), (12, 0), (12, 5), (64, 63), (65, 63), (150, 130)])
def test_a_decode_step_is_that_of_group_attention(T, t):
  """Within one block of keys, at its end, beyond it."""
  step = a_step(T)
  found, expected = (f(*step, jnp.int32(t)) for f in (one_kernel, expected_step))
  np.testing.assert_allclose(found, expected, atol=2e-6)


def test_keys_that_are_not_there_yet_and_padding_may_hold_anything():
  """Pitfall 2: NaN in the padding of prompts and after token t."""
  query, keys, values, prefix = a_step(12)
  expected = one_kernel(query, keys, values, prefix, jnp.int32(5))
  keys, values = (x.at[..., 6:, :].set(jnp.nan) for x in (keys, values))
  prefix = tuple(jnp.where(MASK[:, None, :, None], x, jnp.nan) for x in prefix)
  found = one_kernel(query, keys, values, prefix, jnp.int32(5))
  np.testing.assert_array_equal(found, expected)


def test_members_of_a_population_each_have_their_own():
  steps = [a_step(12), jax.tree.map(lambda x: -x, a_step(12))]
  together = jax.vmap(one_kernel)(*jax.tree.map(lambda *x: jnp.stack(x), *steps), jnp.array([3, 9]))
  for member, (step, t) in enumerate(zip(steps, (3, 9), strict=True)):
    np.testing.assert_allclose(together[member], one_kernel(*step, jnp.int32(t)), atol=1e-6)


def test_prompts_of_members_may_begin_elsewhere():
  step, starts = a_step(12), jnp.stack([STARTS, STARTS[::-1]])
  together = jax.vmap(one_kernel, in_axes=(None, None, None, None, None, 0))(
    *step, jnp.int32(7), starts
  )
  for member, own in enumerate(starts):
    expected = one_kernel(*step, jnp.int32(7), starts=own)
    np.testing.assert_allclose(together[member], expected, atol=1e-6)


def test_more_query_heads_than_a_matrix_unit_has_rows():
  query, keys, values, prefix = a_step(12)
  query = noise(P, K, G, 17, H)
  found, expected = (
    f(query, keys, values, prefix, jnp.int32(5)) for f in (one_kernel, expected_step)
  )
  np.testing.assert_allclose(found, expected, atol=2e-6)


def test_types_of_two_bytes_keep_their_digits():
  step = a_step(70)
  short = jax.tree.map(lambda x: x.astype(jnp.bfloat16), step)
  found, expected = one_kernel(*short, jnp.int32(66)), expected_step(*step, jnp.int32(66))
  assert found.dtype == jnp.bfloat16
  np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=0.03)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_triton_takes_the_kernel(dtype):
  """As far as it can be told without a GPU: it is lowered, not compiled."""
  step = jax.tree.map(lambda x: x.astype(dtype), a_step(12))
  traced = jax.jit(functools.partial(one_kernel, interpret=False)).trace(*step, jnp.int32(3))
  try:
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
  except RuntimeError as error:
    pytest.skip(f"this jax lowers for a GPU only where there is one: {error}")
  assert "triton" in text
  assert "decode_attention" in text


def by_blocks(T, query, key, value):
  (q, own_q), (k, own_k), (v, own_v) = (
    (x[:, :S], x[:, S:].reshape(P, G, T, *x.shape[2:])) for x in (query, key, value)
  )
  prefix = (jnp.moveaxis(k, 2, 1), jnp.moveaxis(v, 2, 1), MASK)
  return _joined(_ungrouped(q, k, v, visible=MASK), _attend(own_q, own_k, own_v, prefix=prefix))


@pytest.mark.parametrize("T", [13, *(pytest.param(T, marks=pytest.mark.slow) for T in (1, 5, 140))])
def test_branches_have_the_values_and_gradients_of_blocks(T):
  """Rows of an odd length and of a multiple of 8; prompts of 1, 7 and 11 tokens."""
  real = jnp.concatenate([MASK, jnp.ones((P, G * T), bool)], axis=1)[..., None, None]
  inputs = [noise(P, S + G * T, heads, H, seed=n) for n, heads in enumerate((K * R, K, K))]

  def loss(attend, *inputs):
    mixed = jnp.where(real, attend(*inputs), 0)
    return jnp.sum(jnp.sin(3 * mixed) * noise(*mixed.shape, seed=7)), mixed

  branches = functools.partial(
    fused.branch_attention, starts=STARTS, shape=(S, G, T), implementation="xla"
  )
  found, expected = (
    jax.grad(functools.partial(loss, attend), argnums=(0, 1, 2), has_aux=True)(*inputs)
    for attend in (branches, functools.partial(by_blocks, T))
  )
  for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(one, other, atol=5e-5)


@pytest.fixture
def interpreted(monkeypatch):
  """As on an NVIDIA GPU, with its kernels interpreted; told which were called."""
  calls = []

  def told(name, function, **how):
    def call(*arguments):
      calls.append((name, arguments[0].shape))
      return function(*arguments, **how)

    return call

  monkeypatch.setattr(fused, "decodes", lambda *_: True)
  monkeypatch.setattr(fused, "trains", lambda *_: True)
  one = told("decode", fused.decode_attention, interpret=True)
  monkeypatch.setattr(decode, "decode_attention", one)
  many = told("branch", fused.branch_attention, implementation="xla")
  monkeypatch.setattr(fused, "branch_attention", many)
  return calls


@pytest.mark.parametrize(
  "family", ["qwen3", *(pytest.param(n, marks=pytest.mark.slow) for n in ("llama", "qwen2"))]
)
def test_a_network_samples_and_learns_the_same_with_either(interpreted, family):
  """Also the rows that are left when most answers have ended."""
  plain = toys.network(**toys.FAMILIES[family])
  quick = dataclasses.replace(plain, kernels=True)
  params = toys.random_params(plain)
  asked = toys.prompts([[3, 1, 4], [1], [5, 9, 2, 6, 5]])
  keys = jax.random.split(jax.random.key(0), 3)
  make = functools.partial(make_rollout, group_size=8, max_tokens=9, stop_ids=(2, 3, 5, 7, 11))
  expected = jax.jit(make(plain))(params, asked, keys)
  assert not interpreted
  assert expected.mask[..., -2].sum() <= 12, "or none is decoded by itself"
  found = jax.jit(make(quick))(params, asked, keys)
  assert {shape[:3] for _, shape in interpreted} == {(3, kv(plain), 8), (12, kv(plain), 1)}
  np.testing.assert_array_equal(found.tokens, expected.tokens)
  np.testing.assert_allclose(found.logprobs, expected.logprobs, atol=2e-5)

  def total(net, params):
    logprobs, entropy = answer_logprobs(net, params, expected)
    return jnp.sum(jnp.where(expected.mask, jnp.sin(logprobs) + entropy, 0))

  gradients = [jax.grad(functools.partial(total, net))(params) for net in (quick, plain)]
  assert "branch" in [name for name, _ in interpreted]
  for one, other in zip(*map(jax.tree.leaves, gradients), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-4)


def kv(net) -> int:
  return net.architecture.kv_heads


def test_kernels_are_taken_where_they_fit_alone():
  """(decoding, training) of prompts and answers of 64 tokens."""
  shape = {"head_size": 64, "dtype": "bfloat16"}

  def taken(net, S=64, T=64):
    net = dataclasses.replace(net, kernels=True)
    return net.decodes_fused(S), net.trains_fused(S, T)

  assert taken(toys.network(**shape)) == (True, True)
  assert taken(toys.network(**shape), S=65) == (True, False)
  assert taken(toys.network(**shape), S=1025, T=2000) == (False, True)
  assert taken(toys.network(**shape | {"dtype": "float32"})) == (True, False)
  assert taken(toys.network(**shape | {"head_size": 80})) == (False, True)
  assert taken(toys.network(**shape | {"head_size": 256})) == (False, False)
  elsewhere = dataclasses.replace(toys.network(**shape), place=Elsewhere())
  others = [toys.network(**shape, attention="blocks"), toys.network(**shape, sliding_window=3)]
  assert [taken(net) for net in (elsewhere, *others)] == [(False, False)] * 3
  assert not toys.network(**shape).decodes_fused(64), "devices say where there are kernels"


class Elsewhere(Placement):
  """As of a mesh."""


@pytest.mark.parametrize(
  ("platform", "kind", "capability", "expected"),
  [
    ("gpu", "NVIDIA H100 80GB HBM3", "9.0", True),
    ("gpu", "NVIDIA A100-SXM4-40GB", "8.0", True),
    ("gpu", "NVIDIA GeForce RTX 2080 Ti", "7.5", False),
    ("gpu", "AMD Instinct MI300X", "gfx942", False),
    ("tpu", "TPU v5p", None, False),
  ],
)
def test_devices_that_have_the_kernels(platform, kind, capability, expected):
  device = types.SimpleNamespace(platform=platform, device_kind=kind, compute_capability=capability)
  assert fused.has_kernels(device) == expected
  network = Devices(1, None, device).network(toys.network())
  assert network.kernels == AbsentDevices(1, None, absent=(device,)).network(toys.network()).kernels
  assert network.kernels == expected
  assert not make_devices(config.Parallel()).network(toys.network()).kernels
