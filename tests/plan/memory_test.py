import dataclasses

import pytest

from grpo_jax import config
from grpo_jax.plan import flops
from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.count import parameters
from grpo_jax.plan.memory import (
  Memory,
  rollout_parts,
  stage_memory,
  state_parts,
  update_parts,
)
from grpo_jax.plan.presets import MODELS
from grpo_jax.plan.roofline import How
from grpo_jax.plan.rooms import kept
from grpo_jax.plan.split import Split
from grpo_jax.plan.work import evaluation_work, stage_work
from tests.plan.helpers import SMALL

_STAGE = config.GRPO(steps=10, rollout=config.Rollout(prompts=64, group_size=8, max_tokens=256))
_WORK = stage_work(_STAGE, 128)
_MODEL = MODELS["qwen2.5-1.5b"]
_ONE = 4 * parameters(_MODEL)


def test_weights_and_moments():
  assert state_parts(_MODEL, _WORK, Split(), on_cpu=False) == {"weights": _ONE, "moments": 2 * _ONE}


def test_what_stands_beside_the_policy():
  work = dataclasses.replace(_WORK, reference=True, critic="separate", judges=2)
  found = state_parts(_MODEL, work, Split(), on_cpu=True)
  assert found["reference"] == _ONE
  assert found["critic, its moments"] == 3 * _ONE
  assert found["reward models"] == 2 * _ONE
  assert found["process"] > 0


def test_caches_by_hand():
  # 2 (keys, values) x 2 layers x 2 heads x 4 numbers x 2 bytes a token.
  parts = rollout_parts(SMALL, _WORK, How(dtype="bfloat16"), Split())
  assert parts["keys, values of answers"] == 64 * 8 * 256 * 64


def test_doubling_fsdp_halves_what_is_split():
  two, four = (state_parts(_MODEL, _WORK, Split(n, fsdp=n), on_cpu=False) for n in (2, 4))
  assert {name: size / 2 for name, size in two.items()} == four
  two, four = (update_parts(_MODEL, _WORK, How(), Split(n, fsdp=n)) for n in (2, 4))
  assert four["gradients"] == two["gradients"] / 2
  assert four["activations"] == two["activations"] / 2  # prompts are split too


def test_copies_split_prompts_and_not_weights():
  one, eight = Split(), Split(rows=8)
  assert state_parts(_MODEL, _WORK, one, on_cpu=False) == state_parts(
    _MODEL, _WORK, eight, on_cpu=False
  )
  caches = [
    rollout_parts(_MODEL, _WORK, How(), split)["keys, values of answers"] for split in (one, eight)
  ]
  assert caches[0] == 8 * caches[1]


@pytest.mark.parametrize(("tensor", "parts"), [(2, 2), (4, 1)])
def test_caches_are_split_by_key_heads_that_divide(tensor, parts):
  sizes = [
    rollout_parts(_MODEL, _WORK, How(), Split(tensor=n))["keys, values of answers"]
    for n in (1, tensor)
  ]
  assert sizes[0] == parts * sizes[1]


def test_decoding_reads_weights_that_are_whole_over_fsdp():
  parts = {n: rollout_parts(_MODEL, _WORK, How(dtype="bfloat16"), Split(n, fsdp=n)) for n in (1, 8)}
  assert parts[8]["decode copy of weights"] == parts[1]["decode copy of weights"]


def test_remat_keeps_the_inputs_of_layers_alone():
  assert kept(SMALL, How(), Split()) == 4 * 8
  assert kept(SMALL, How(remat=False), Split()) == 4 * (8 + (4 + 2 * 2) * 4 + 2 * 16)


def test_micro_batches_save_activations_and_cost_a_gradient():
  one, two = (
    update_parts(_MODEL, dataclasses.replace(_WORK, micro_batches=n), How(), Split())
    for n in (1, 2)
  )
  assert two["activations"] == one["activations"] / 2
  assert two["gradients"] == 2 * one["gradients"]


def test_logits_grow_with_the_chunk_and_not_the_batch():
  sizes = [
    update_parts(_MODEL, _WORK, How(logprob_chunk=n), Split())["a layer, or logits"]
    for n in (2**15, 2**16, 2**17)
  ]
  # 3 x 4 bytes of each logit.
  assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0]) == 12 * 2**16 * _MODEL.vocab_size


def test_layers_that_are_written_out_are_all_held():
  one, two, every = (
    update_parts(_MODEL, _WORK, How(unroll=n), Split())["a layer, or logits"] for n in (1, 2, 0)
  )
  assert every == _MODEL.layers / 2 * two > one


def test_the_peak_is_that_of_the_busiest_program():
  memory = Memory({"weights": 1.0}, {"rollout": {"a": 2.0, "b": 3.0}, "update": {"a": 4.0}})
  assert (memory.busiest, memory.peak) == ("rollout", 6.0)
  assert memory.with_compiled({"update": Compiled(9, 5, 4, 7)}) == 1 + 8


def test_programs_are_those_of_the_stage():
  judged = evaluation_work(config.Evaluation(), 128)
  programs = stage_memory(_MODEL, _WORK, judged, How(), Split()).programs
  assert set(programs) == {"evaluation", "rollout", "update"}
  looked = dataclasses.replace(_WORK, reference=True)
  assert "look" in stage_memory(_MODEL, looked, judged, How(), Split()).programs
  sft = stage_work(config.SFT(), 128)
  assert set(stage_memory(_MODEL, sft, judged, How(), Split()).programs) == {"evaluation", "update"}


def test_what_a_compiler_says_adds_up():
  found = Compiled(argument=10, output=7, alias=6, temp=20)
  assert (found.new, found.total) == (21, 31)


def test_levers_on_what_is_kept_count_by_the_byte():
  """A first moment of two bytes, a reference of two, and one that is on the device for its pass."""
  loss = config.LossConfig(kl_coefficient=0.1)

  def of(**fields):
    work = stage_work(config.GRPO(loss=loss, **fields), 16)
    parts = state_parts(_MODEL, work, Split(), on_cpu=False)
    return parts.get("reference", 0.0), parts["moments"]

  one = _ONE
  short = config.Optimizer(first_moment="bfloat16")
  assert of() == (one, 2 * one)
  assert of(optimizer=short) == (one, 1.5 * one)
  assert of(reference_dtype="bfloat16") == (one / 2, 2 * one)
  assert of(reference_place="host") == (0.0, 2 * one)


def test_adapters_have_moments_and_gradients_of_their_own_and_no_second_model():
  """Worked by hand: r (D + O) each, on a reference that is the weights themselves."""
  lora = config.LoRA(rank=2, targets=("query", "down"))
  kl = config.LossConfig(kl_coefficient=0.1)
  work = stage_work(config.GRPO(lora=lora, loss=kl), 8)
  a = _MODEL
  trained = 4 * 2 * a.layers * (2 * a.hidden_size + a.heads * a.head_size + a.ffn_size)
  assert state_parts(a, work, Split(), on_cpu=False) == {
    "weights": 4 * parameters(a),
    "adapters": trained,
    "moments": 2 * trained,
  }
  assert update_parts(a, work, How(), Split())["gradients"] == trained
  plain = stage_work(config.GRPO(loss=kl), 8)
  assert "reference" in state_parts(a, plain, Split(), on_cpu=False)
  assert flops.update(a, work, remat=False) < flops.update(a, plain, remat=False)
