import dataclasses

import jax
import jax.numpy as jnp
import pytest

from grpo_jax import config
from grpo_jax.model import Network
from grpo_jax.plan import flops
from grpo_jax.plan.work import stage_work
from grpo_jax.types import Prompts
from tests.plan.helpers import SMALL

_STAGE = config.GRPO(steps=10, rollout=config.Rollout(prompts=3, group_size=2, max_tokens=5))
_WORK = stage_work(_STAGE, 16)
# Weights of a layer of SMALL: query and output 8 x 16 each, key and value 8 x 8, three of 8 x 16.
_PRODUCTS = 2 * 8 * 16 + 2 * 8 * 8 + 3 * 8 * 16


def test_forward_is_counted_by_hand():
  once = flops.forward(SMALL, _WORK)
  assert once.layers == 2 * (3 * 24) * 2 * _PRODUCTS
  assert once.attention == 4 * 3 * (16 * 16 + 2 * (4 * 4 + 4 * 16)) * 2 * 4 * 4
  assert once.head == 2 * (3 * 2 * 5) * 100 * 8


def test_update_is_counted_by_hand():
  once = flops.forward(SMALL, _WORK)
  kept = flops.update(SMALL, _WORK, remat=False)
  assert kept == 3 * once.layers + 5 * once.attention + 4 * once.head
  assert flops.update(SMALL, _WORK, remat=True) == kept + once.layers


def test_decode_is_counted_by_hand():
  scores = 2 * 4 * 4 * (16 + 5) * 2
  assert flops.decode_step(SMALL, _WORK) == 2 * 6 * (2 * _PRODUCTS + 100 * 8 + scores)
  assert flops.phases(SMALL, _WORK, remat=True)["decode"] == 5 * flops.decode_step(SMALL, _WORK)


def test_prompts_alone_are_prefilled():
  assert flops.prefill(SMALL, _WORK) == (2 * 3 * 16 * 2 * _PRODUCTS + 4 * 3 * 16 * 16 * 2 * 4 * 4)


def test_every_pass_has_its_phase():
  assert list(flops.phases(SMALL, _WORK, remat=True)) == ["prefill", "decode", "update"]
  both = dataclasses.replace(_WORK, old=True, reference=True, critic="separate", judges=1)
  assert set(flops.phases(SMALL, both, remat=True)) == {
    *("prefill", "decode", "judges", "old", "reference", "values", "update")
  }


def test_a_separate_critic_is_trained_without_a_head():
  once = flops.forward(SMALL, _WORK)
  critic = dataclasses.replace(_WORK, critic="separate")
  more = flops.update(SMALL, critic, remat=True) - flops.update(SMALL, _WORK, remat=True)
  assert more == 4 * once.layers + 5 * once.attention


def test_epochs_update_again_and_minibatches_do_not():
  once = flops.update(SMALL, _WORK, remat=True)
  again = dataclasses.replace(_WORK, updates=6, minibatches=3)
  assert flops.update(SMALL, again, remat=True) == 2 * once


def test_the_compiler_counts_as_many():
  # One layer: the compiler counts the body of a loop once.
  a = dataclasses.replace(SMALL, layers=1, hidden_size=64, ffn_size=256, head_size=16)
  network = Network(a, remat=True)
  shape = jax.ShapeDtypeStruct
  prompts = Prompts(shape((3, 16), jnp.int32), shape((3, 16), jnp.bool_))
  lowered = jax.jit(network.answers).lower(network.abstract(), prompts, shape((3, 2, 5), jnp.int32))
  counted = lowered.compile().cost_analysis()["flops"]
  once = flops.forward(a, _WORK)
  # Norms, rotary embedding and softmax are the rest.
  assert once.layers + once.attention == pytest.approx(counted, rel=0.1)
