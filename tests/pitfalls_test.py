"""Pitfalls that belong to no one module; each of the others is named where it bites."""

import pathlib
import re

import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.parallel import ONE_DEVICE
from grpo_jax.run import grpo
from grpo_jax.run.learn import Looks
from tests.run.figures_test import _answers, _rollout, _scores

_TESTS = pathlib.Path(__file__).parent


def test_every_pitfall_is_named_by_a_test():
  found = set()
  for path in _TESTS.rglob("*_test.py"):
    for numbers in re.findall(r"[Pp]itfalls? ((?:\d+(?:, | and )?)+)", path.read_text()):
      found |= {int(number) for number in re.findall(r"\d+", numbers)}
  assert found >= set(range(1, 28))


def test_the_update_trains_on_the_tokens_that_were_sampled():
  """Pitfall 20: not on what their text would be encoded as again."""
  rollout = _rollout([[2, 4], [3, 1]])
  tokens = np.arange(16, dtype=np.int32).reshape(2, 2, 4)
  answers = _answers(rollout.replace(tokens=tokens), _scores([[1, 0], [0, 1]], number=np.eye(2)))
  batch = grpo.make_batch_maker(ONE_DEVICE, config.GRPO(), "grpo")(answers, Looks())
  np.testing.assert_array_equal(batch.rollout.tokens, tokens)
  np.testing.assert_array_equal(batch.rollout.mask, rollout.mask)


@pytest.mark.parametrize("shape", [(4,), (2, 2, 1)])
def test_rewards_of_another_shape_are_refused(shape):
  """Pitfall 26: (B,) against (B,1) would broadcast to (B,B) in silence."""
  from grpo_jax.advantages import make_advantages

  mask = jnp.ones((2, 2, 3), bool)
  with pytest.raises(AssertionError):
    make_advantages(jnp.zeros(shape), jnp.zeros((1, 2, 2)), jnp.ones(1), mask, config.GRPO())
