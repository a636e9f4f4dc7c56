"""More devices than prompts: each has a prompt and a part of its answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError, Parallel
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.parallel import ONE_DEVICE, Devices, MeshDevices, check_divisible, make_mesh
from grpo_jax.parallel.rules import cuts
from grpo_jax.rollout import make_rollout
from grpo_jax.run.checks import check_batch
from grpo_jax.run.keys import seeded
from tests import toys
from tests.parallel.hlo import collectives

P, G, T = 2, 4, 12


def _mesh(**axes) -> MeshDevices:
  return MeshDevices(make_mesh(Parallel(mode="mesh", **axes), jax.devices()[:4]))


def _rollout(devices):
  net = devices.network(toys.network())
  function = seeded(make_rollout(net, group_size=G, max_tokens=T, stop_ids=(1,)))
  params, prompts = toys.random_params(toys.network()), toys.prompts([[3, 4, 5, 6, 2], [7, 2, 3]])
  keys = jax.random.key_data(jax.random.split(jax.random.key(3), P))
  return devices.compile(function)(
    devices.replicate(params), *(devices.split(part) for part in (prompts, keys))
  )


def _gradient(devices, answers):
  """Of the sum of log-probs of all answers' own tokens; and its program."""
  net, params = devices.network(toys.network()), toys.random_params(toys.network())

  def total(params, answers):
    logprobs, _ = answer_logprobs(net, params, answers)
    return jnp.sum(jnp.where(answers.mask, logprobs, 0))

  compiled = devices.compile(jax.grad(total))
  arguments = devices.replicate(params), devices.split(answers)
  return compiled(*arguments), compiled.lower(*arguments).compile()


@pytest.mark.parametrize(
  "axes", [pytest.param({"fsdp": 4}, marks=pytest.mark.slow), {"data": 2, "fsdp": 2}]
)
def test_answers_and_gradients_are_those_of_one_device(axes):
  alone, found = _rollout(ONE_DEVICE), _rollout(_mesh(**axes))
  np.testing.assert_array_equal(found.tokens, alone.tokens)
  np.testing.assert_array_equal(found.mask, alone.mask)
  np.testing.assert_allclose(found.logprobs, alone.logprobs, atol=1e-5)
  answers = jax.device_get(alone)
  expected, _ = _gradient(ONE_DEVICE, answers)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
    jax.device_get(_gradient(_mesh(**axes), answers)[0]),
    jax.device_get(expected),
  )


def test_each_device_does_its_part_of_the_work():
  """Of 2 x 4 answers four devices have two each, beside the prompt: not the four of two devices."""
  answers = jax.device_get(_rollout(ONE_DEVICE))
  _, whole = _gradient(ONE_DEVICE, answers)
  _, part = _gradient(_mesh(fsdp=4), answers)
  prompt = answers.prompts.tokens.shape[1]
  expected = (prompt + G // 2 * (T - 1)) / (P * (prompt + G * (T - 1)))
  assert part.cost_analysis()["flops"] / whole.cost_analysis()["flops"] == pytest.approx(
    expected, rel=0.15
  )


def test_nothing_more_travels_than_with_as_many_prompts_as_devices():
  """What fsdp gathers and sums, and none of the answers' hidden states or keys."""

  def sent(P, G):
    tokens = np.ones((P, G, T), np.int32)
    answers = toys.answers_of(toys.prompts([[3, 4, 5]] * P), tokens, tokens > 0)
    return sum(one.elements for one in collectives(_gradient(_mesh(fsdp=4), answers)[1].as_text()))

  assert sent(2, 8) <= 1.01 * sent(4, 4)


@pytest.mark.parametrize(
  ("parts", "prompts", "group", "expected"),
  [
    (4, 8, 1, 1),
    (4, 4, 3, 1),
    (4, 2, 4, 2),
    (8, 1, 8, 8),
    (4, 2, 3, 0),
    (4, 3, 4, 0),
    (8, 2, 2, 0),
  ],
)
def test_a_group_is_cut_where_prompts_alone_do_not_suffice(parts, prompts, group, expected):
  assert cuts(parts, prompts, group) == expected


def test_what_cannot_be_shared_evenly_is_one_line():
  mesh = _mesh(fsdp=4)
  check_divisible(mesh, 4, 2, "prompts", group=G)
  with pytest.raises(ConfigError, match=r"prompts = 4 .* 4 devices x 2 .*nor are the 3 answers"):
    check_divisible(mesh, 4, 2, "prompts", group=3)
  with pytest.raises(ConfigError, match="batch_size = 2 is not divisible by 4 devices"):
    check_divisible(mesh, 2, 1, "batch_size")
  with pytest.raises(ConfigError, match="prompts = 2 is not divisible by 4 devices"):
    check_divisible(Devices(4, "d"), 2, 1, "prompts", group=G)


def test_a_stage_says_what_may_be_shared():
  assert config.GRPO(rollout=config.Rollout(group_size=6)).group == 6
  assert config.Pretrain().group == 1


def test_all_prompts_of_a_rollout_are_shared_too():
  """Four of a micro-batch would be, by their answers; all twelve are on no eight devices evenly."""
  sizes = config.Rollout(prompts=12, group_size=8)
  stage = config.GRPO(rollout=sizes, optimizer=config.Optimizer(micro_batches=3))
  eight = MeshDevices(make_mesh(Parallel(mode="mesh", fsdp=8), [jax.devices()[0]] * 8))
  with pytest.raises(ConfigError, match=r"stages.rl.rollout.prompts = 12 is not divisible by 8"):
    check_batch(eight, "rl", stage)
  stage.rollout.prompts = 24
  check_batch(eight, "rl", stage)
