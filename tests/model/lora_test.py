"""Low-rank adapters: the policy of W + scale A B, without W being touched or copied."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import model
from grpo_jax.config.lora import TARGETS, LoRA
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.model import lora
from grpo_jax.rollout import make_rollout
from tests import toys

_SCALE = 0.5


def _adapters(net, **fields):
  return toys.random_adapters(net, LoRA(rank=2, **fields))


def _policy(net, **fields):
  base = toys.random_params(net)
  return model.adapted(_adapters(net, **fields), model.frozen_base(base, _SCALE)), base


def _logprobs(net, params):
  tokens = np.arange(24).reshape(2, 3, 4) % toys.V
  return answer_logprobs(net, params, toys.answers_of(toys.prompts([[3, 4], [5, 6, 7]]), tokens))[0]


def test_fresh_adapters_add_nothing():
  """To the bit: at the start of a stage the policy is its own reference."""
  net = toys.network()
  base = toys.random_params(net)
  fresh = model.init_adapters(jax.random.key(0), base, 3, TARGETS)
  policy = model.adapted(fresh, model.frozen_base(base, _SCALE))
  np.testing.assert_array_equal(_logprobs(net, policy), _logprobs(net, base))


def test_the_shapes_and_the_bounds_of_fresh_adapters():
  net = toys.network()
  a = net.architecture
  fresh = model.init_adapters(jax.random.key(0), net.abstract(), 3, ("query", "output", "down"))
  shapes = {name: leaf.shape for name, leaf in fresh["layers"].items()}
  L, D, N, H, F = a.layers, a.hidden_size, a.heads, a.head_size, a.ffn_size
  assert shapes == {
    "query_a": (L, D, 3),
    "query_b": (L, 3, N, H),
    "output_a": (L, N, H, 3),
    "output_b": (L, 3, D),
    "down_a": (L, F, 3),
    "down_b": (L, 3, D),
  }
  for name, inputs in (("query", D), ("output", N * H), ("down", F)):
    widest = np.abs(fresh["layers"][f"{name}_a"]).max()
    assert 0.8 * inputs**-0.5 < widest <= inputs**-0.5
    assert not fresh["layers"][f"{name}_b"].any()


@pytest.mark.parametrize("family", toys.FAMILIES)
def test_merged_weights_are_the_same_policy(family):
  net = toys.network(**toys.FAMILIES[family])
  policy, base = _policy(net)
  whole = model.merged(policy)
  assert jax.tree.structure(whole) == jax.tree.structure(base)
  np.testing.assert_allclose(_logprobs(net, policy), _logprobs(net, whole), atol=2e-5)
  assert np.abs(_logprobs(net, policy) - _logprobs(net, base)).max() > 0.1


def test_a_merged_weight_by_hand():
  base = {"layers": {"attention_norm": jnp.ones((1, 2)), "up": jnp.array([[[1.0, 2], [3, 4]]])}}
  adapters = {"up_a": jnp.array([[[1.0], [2]]]), "up_b": jnp.array([[[10.0, 20]]])}
  policy = model.adapted({"layers": adapters}, model.frozen_base(base, 0.1))
  np.testing.assert_allclose(model.merged(policy)["layers"]["up"], [[[2, 4], [5, 8]]])
  assert model.merged(policy)["layers"].keys() == {"attention_norm", "up"}
  assert model.merged(base) == base


@pytest.mark.parametrize(
  ("dtype", "shared"),
  [
    *(("float32", True), ("bfloat16", False)),
    *(
      pytest.param(*case, marks=pytest.mark.slow)
      for case in (("float32", False), ("bfloat16", True))
    ),
  ],
)
def test_answers_are_drawn_from_the_adapted_policy(dtype, shared):
  """Whether adapters are added to the weights before decoding, or at each token."""
  net = dataclasses.replace(toys.network(dtype=dtype), shared=shared)
  assert net.folds == (dtype == "float32" and not shared)
  policy, _ = _policy(net)
  sample = make_rollout(net, group_size=3, max_tokens=6, stop_ids=[0])
  keys = jax.random.split(jax.random.key(0), 2)
  found = sample(policy, toys.prompts([[3, 4], [5, 6, 7]]), keys)
  again = answer_logprobs(net, policy, found)[0]
  drawn, again = (np.where(found.mask, x, 0) for x in (found.logprobs, again))
  np.testing.assert_allclose(drawn, again, atol=2e-4 if dtype == "float32" else 0.1)


def test_the_gradient_is_that_of_the_merged_weights():
  """d/dA = scale dW B^T, d/dB = scale A^T dW; nothing is asked of the frozen weights."""
  net = toys.network()
  base, adapters = toys.random_params(net), _adapters(net)
  frozen = model.frozen_base(base, _SCALE)

  def loss(params):
    return _logprobs(net, params).sum()

  found = jax.grad(lambda own: loss(model.adapted(own, frozen)))(adapters)["layers"]
  whole = jax.grad(loss)(model.merged(model.adapted(adapters, frozen)))["layers"]
  for name in TARGETS:
    sizes = functools.partial(_matrix, inputs=lora.INPUTS.get(name, 1))
    down, up = adapters["layers"][f"{name}_a"], adapters["layers"][f"{name}_b"]
    L, r = down.shape[0], down.shape[-1]
    dw, a, b = sizes(whole[name]), down.reshape(L, -1, r), up.reshape(L, r, -1)
    wanted = _SCALE * dw @ b.transpose(0, 2, 1), _SCALE * a.transpose(0, 2, 1) @ dw
    for side, value in zip("ab", wanted, strict=True):
      own = found[f"{name}_{side}"].reshape(value.shape)
      np.testing.assert_allclose(own, value, rtol=1e-3, atol=1e-4 * np.abs(value).max())


def _matrix(weight, inputs):
  L = weight.shape[0]
  return weight.reshape(L, np.prod(weight.shape[1 : 1 + inputs]), -1)


def test_some_weights_only():
  net = toys.network()
  policy, base = _policy(net, targets=("value", "down"))
  assert lora.ranks(policy) == (("down", 2), ("value", 2))
  whole = model.merged(policy)["layers"]
  changed = {name for name in whole if not np.array_equal(whole[name], base["layers"][name])}
  assert changed == {"value", "down"}
