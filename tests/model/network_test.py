"""What a network may trade for memory without a change of value or gradient."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax.logprobs import answer_logprobs
from tests import toys

ROWS = [[3, 1, 4, 1, 5], [9, 2]]


@functools.cache
def gradient(T: int, **fields):
  """The gradient of the sum of log-probs of random answers, not yet compiled."""
  net = toys.network(layers=8, hidden_size=32, ffn_size=96, **fields)
  answers = np.random.default_rng(0).integers(0, toys.V, (len(ROWS), 4, T))
  rollout = toys.answers_of(toys.prompts(ROWS), answers)
  loss = lambda params: jnp.sum(answer_logprobs(net, params, rollout, temperature=1.0)[0])  # noqa: E731
  return jax.jit(jax.value_and_grad(loss)), toys.random_params(net)


_LONG = [
  pytest.param(*case, marks=pytest.mark.slow) for case in ((6, 0), (150, 0), (150, 1), (150, 3))
]


@pytest.mark.parametrize(("T", "unroll"), [(6, 1), (6, 3), *_LONG])
def test_remat_and_unroll_change_no_gradient(T, unroll):
  function, params = gradient(T)
  value, expected = function(params)
  other, found = gradient(T, remat=False, unroll=unroll)[0](params)
  np.testing.assert_allclose(other, value, rtol=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3), found, expected)


def memory(**fields) -> int:
  function, params = gradient(64, **fields)
  return function.lower(params).compile().memory_analysis().temp_size_in_bytes


def test_remat_saves_what_it_is_for():
  """FAULTS: a remat flag that nothing reads."""
  assert memory(remat=True) < 0.7 * memory(remat=False)
