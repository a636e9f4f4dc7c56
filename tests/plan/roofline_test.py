import dataclasses

import pytest

from grpo_jax import config
from grpo_jax.plan import flops
from grpo_jax.plan.hardware import parse_topology
from grpo_jax.plan.presets import MODELS
from grpo_jax.plan.roofline import How, kv_heads, phases
from grpo_jax.plan.split import Split
from grpo_jax.plan.work import stage_work
from tests.plan.helpers import SMALL

_STAGE = config.GRPO(steps=10, rollout=config.Rollout(prompts=64, group_size=8, max_tokens=256))
_WORK = stage_work(_STAGE, 128)
_HOW = How(dtype="bfloat16")
_MODEL = MODELS["qwen2.5-1.5b"]


def _phases(topology="v5p:8", split=None, work=_WORK, how=_HOW, a=_MODEL):
  return phases(a, work, how, split or Split(rows=8), parse_topology(topology))


def test_seconds_are_operations_at_the_rate_that_is_reached():
  topology = parse_topology("v5p:8")
  update = _phases()["update"]
  operations = flops.update(_MODEL, _WORK, remat=True)
  assert update.flops == operations
  assert update.compute == pytest.approx(operations / 8 / (topology.device.flops / 2))
  assert update.bound == "compute"


def test_decoding_few_answers_is_bound_by_reading_weights():
  few = dataclasses.replace(_WORK, P=8, G=1)
  assert _phases(work=few)["decode"].bound == "memory"
  one = _phases(work=few)["decode"].memory
  # Nothing else grows: one more answer is nearly free.
  assert _phases(work=dataclasses.replace(few, G=2))["decode"].seconds < 1.1 * one


def test_float32_is_as_fast_on_a_tpu_and_half_as_fast_on_a_gpu():
  for topology, ratio in (("v5p:8", 1), ("h100:8", 2)):
    single = _phases(topology, how=How())["update"].compute
    assert single / _phases(topology)["update"].compute == pytest.approx(ratio)


def test_one_device_has_nothing_to_receive():
  alone = _phases("v5p", Split())
  assert all(phase.gather == phase.sums == 0 for phase in alone.values())


def test_copies_sum_gradients_and_fsdp_gathers_weights():
  copies, parted = _phases(), _phases(split=Split(rows=8, fsdp=8))
  assert copies["update"].sums > 0 == copies["update"].gather
  assert parted["update"].gather > 0 == parted["update"].sums
  assert parted["decode"].gather == 0  # gathered once, before


def test_tensor_parts_pay_sums_at_every_token():
  few = dataclasses.replace(_WORK, P=8, G=1)
  alone = _phases(work=few)["decode"]
  decode = _phases(split=Split(rows=4, tensor=2), work=few)["decode"]
  assert decode.sums > 0 == alone.sums
  assert decode.compute == pytest.approx(alone.compute)
  assert decode.memory == pytest.approx(alone.memory / 2, rel=0.1)  # each reads half the weights


def test_fewer_prompts_than_parts_leave_devices_idle():
  few = dataclasses.replace(_WORK, P=4)
  eight, four = _phases(work=few), _phases("v5p:4", Split(rows=4), work=few)
  assert eight["update"].compute == four["update"].compute


def test_key_heads_that_do_not_divide_stay_whole():
  assert kv_heads(SMALL, Split(tensor=2)) == 1
  assert kv_heads(SMALL, Split(tensor=4)) == SMALL.kv_heads


def test_scores_of_long_answers_are_read_too():
  # 5 passes x 16 bytes of each; beside them the same tokens read as much.
  more = dataclasses.replace(_WORK, G=1, fed=8 * 255)
  scores = 16 * 8 * _MODEL.layers * _MODEL.heads * (more.pairs - _WORK.pairs)
  device = parse_topology("v5p").device
  found = [_phases(work=work)["update"].memory for work in (_WORK, more)]
  assert found[1] - found[0] == pytest.approx(5 * scores / (0.8 * device.bandwidth))
