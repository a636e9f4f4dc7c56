"""Programs for devices that are not here: TPUs where libtpu is (make test-tpu), else the CPU's."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError, Parallel
from grpo_jax.parallel.ahead import absent_devices, topology
from grpo_jax.run import shapes
from grpo_jax.run.ahead import compile_stage
from tests import quick
from tests.parallel.absent import CASES, MODELS, Case
from tests.parallel.hlo import collectives

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_WARNING = "Involuntary full rematerialization"
_FAST = ["tiny pmap", "small fsdp", "small both"]
_SLOW = [name for name in CASES if name not in _FAST]
_TINY = MODELS["small"]
_LIBTPU = pytest.mark.skipif(
  importlib.util.find_spec("libtpu") is None, reason="libtpu is not installed: make test-tpu"
)


def has_libtpu(test):
  return pytest.mark.tpu(_LIBTPU(test))


def _run(case: str, folder) -> tuple[dict, str]:
  """What the program of a case found, and what the compiler said."""
  out = str(folder / "found.json")
  command = [sys.executable, "-m", "tests.parallel.absent", case, out]
  env = os.environ | quick.FOR_PEOPLE
  done = subprocess.run(command, cwd=_ROOT, env=env, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr[-3000:]
  with open(out) as file:
    return json.load(file), done.stderr


def _elements(collective: dict) -> int:
  return sum(int(np.prod(sizes)) for _, sizes in collective["shape"])


def _in_decode(found: dict) -> list[dict]:
  """The collectives of a decode step."""
  return [c for c in found["rollout"]["collectives"] if "decode" in "".join(c["loops"])]


def _check(case: str, found: dict, said: str) -> None:
  """What is asked of every layout."""
  assert _WARNING not in said
  layout, state = CASES[case].parallel, found["state_bytes"]
  argument = found["update"]["memory"]["argument"]
  assert state <= argument < 1.3 * state + 5e6, "tiles and the batch, and no more"
  assert found["update"]["memory"]["alias"] >= state, "the state is updated in its own room"
  decode = _in_decode(found)
  if layout.get("mode") != "mesh":
    assert not decode, "each device decodes until its own answers end"
    return
  own = [c for c in decode if "decode" in c["source"]]
  # Where answers are split, every device has to know whether any still runs.
  flags = [c for c in own if (c["kind"], _elements(c)) == ("all-reduce", 1)]
  assert len(flags) == (_rows(layout) > 1)
  # The compiler may send what it has to anyway beside a decode step: the prompts, which are given
  # back whole.
  rollout = CASES[case].experiment().stages["grpo"].rollout
  assert all(_elements(c) <= rollout.prompts * CASES[case].S for c in decode if c not in own)
  if layout.get("tensor", 1) == 1:
    assert own == flags
    return
  most = _most(CASES[case])
  for collective in own:
    assert _elements(collective) <= most[collective["kind"]], collective
  architecture = CASES[case].architecture(CASES[case].experiment())
  assert len(own) <= 2 * architecture.layers + 8


def _rows(layout: dict) -> int:
  """Parts that prompts are split into."""
  return max(layout.get("data", 0), 1) * layout.get("fsdp", 1)


def _most(case: Case) -> dict[str, int]:
  """Numbers that a decode step may move: hidden states, sums of blocks, ends of blocks; no logits.

  And neither weights nor caches, which are never of these sizes.
  """
  experiment = case.experiment()
  architecture, rollout = case.architecture(experiment), experiment.stages["grpo"].rollout
  tensor = experiment.parallel.tensor
  rows = rollout.group_size * rollout.prompts // _rows(case.parallel)
  blocks = -(-architecture.vocab_size // (256 * tensor)) * tensor
  return {
    "all-reduce": rows * (architecture.hidden_size + 256 + 8),
    "all-gather": rows * blocks,
    "collective-permute": 2 * rows * 256 * tensor + 8,
  }


@has_libtpu
@pytest.mark.parametrize(
  "case",
  [case if case == _FAST[-1] else pytest.param(case, marks=pytest.mark.slow) for case in _FAST],
)
def test_a_layout_compiles_for_tpus(case, tmp_path):
  _check(case, *_run(case, tmp_path))


@has_libtpu
@pytest.mark.slow
@pytest.mark.parametrize("case", _SLOW)
def test_a_main_config_compiles_for_tpus(case, tmp_path):
  _check(case, *_run(case, tmp_path))


@has_libtpu
@pytest.mark.slow
def test_fsdp_needs_clearly_less_memory_than_one_device(tmp_path):
  alone, split = (_run(f"1.5B {layout}", tmp_path)[0] for layout in ("single", "fsdp"))
  assert split["update"]["peak"] < 0.5 * alone["update"]["peak"]
  assert split["rollout"]["peak"] < alone["rollout"]["peak"]


@has_libtpu
def test_a_warning_of_the_compiler_would_be_heard(tmp_path):
  """Or its absence would say nothing."""
  _, said = _run("tossed", tmp_path)
  assert _WARNING in said


@has_libtpu
def test_a_slice_that_does_not_exist_is_one_line():
  with pytest.raises(ConfigError, match="no topology 'v9:2x2'"):
    topology("v9:2x2")


def _experiment(**parallel) -> config.Experiment:
  """Of a few sizes, with old and reference log-probs."""
  stage = config.GRPO(
    steps=3,
    rollout=config.Rollout(prompts=16, group_size=2, max_tokens=5),
    optimizer=config.Optimizer(lr=1e-3, min_lr=1e-3, micro_batches=2),
    loss=config.LossConfig(kl_coefficient=0.1),
    minibatches=2,
    rewards={"number": 1.0},
  )
  return config.Experiment(
    model=config.Model(weights="elsewhere", logprob_chunk=32),
    task=config.Addition(),
    parallel=Parallel(**parallel),
    stages={"grpo": stage, "sft": config.SFT(steps=1)},
  )


_CPU = dataclasses.replace(_TINY, hidden_size=32, heads=4, head_size=8, ffn_size=64)


@pytest.mark.parametrize(
  ("layout", "share"),
  [
    pytest.param({}, 1, marks=pytest.mark.slow),
    pytest.param({"mode": "pmap"}, 1, marks=pytest.mark.slow),
    pytest.param({"mode": "mesh", "fsdp": 2, "tensor": 2}, 4, marks=pytest.mark.slow),
  ],
)
def test_the_programs_of_a_stage_are_compiled_without_weights(layout, share):
  found = compile_stage(_experiment(**layout), "grpo", jax.devices()[:4], _CPU, prompt_length=8)
  assert found.keys() == {"evaluation", "rollout", "look", "update"}
  whole = 12 * (1000 * 32 + 2 * (32 * 32 * 4 + 3 * 32 * 64))  # parameters and moments, no norms
  memory = found["update"].memory
  assert whole / share < memory["argument"] < whole / share + 20_000
  assert found["update"].peak >= memory["argument"]
  assert found["rollout"].program.cost_analysis()["flops"] > 0


def test_the_batch_is_what_an_update_gets():
  batch = shapes.batch(_experiment().stages["grpo"], 8)
  assert batch.rollout.tokens.shape == batch.old_logprobs.shape == (8, 2, 5)
  assert batch.ref_logprobs.shape == (8, 2, 5)
  assert batch.rollout.prompts.mask.shape == (8, 8)
  assert batch.advantages.shape == batch.rewards.shape == (8, 2)
  assert batch.kept is None


def test_sizes_that_do_not_fit_are_refused():
  with pytest.raises(ConfigError, match="not divisible by 3 devices"):
    compile_stage(_experiment(mode="pmap"), "grpo", jax.devices()[:3], _CPU)


def test_single_takes_the_first_of_the_devices():
  over = absent_devices(Parallel(), jax.devices())
  assert (over.count, over.absent) == (1, (jax.devices()[0],))


_TEXT = """
%inner (p: f32[8]) -> f32[8] {
  ROOT %r = f32[8]{0} all-reduce(%p), to_apply=%sum, metadata={op_name="decode/while/body/dot"}
}
%cond (p: f32[8]) -> pred[] {
  ROOT %n = pred[] constant(true)
}
%all-reduce-scatter.1 (p: f32[8]) -> f32[2] {
  ROOT %r = f32[2]{0} dynamic-slice(%p)
}
ENTRY %main (a: f32[8]) -> f32[8] {
  %g = (f32[4]{0}, /*index=1*/f32[2,8]{1,0}) all-gather-start(%a), dimensions={0}
  %f = f32[2]{0} fusion(%a), kind=kCustom, calls=%all-reduce-scatter.1
  ROOT %w = f32[8]{0} while(%a), condition=%cond, body=%inner, metadata={op_name="decode/while"}
}
"""


def test_collectives_are_found_with_their_loops():
  gather, scatter, reduce = collectives(_TEXT)
  assert (gather.kind, gather.shape) == ("all-gather", (("f32", (4,)), ("f32", (2, 8))))
  assert (gather.loops, gather.elements) == ((), 20)
  assert (scatter.kind, scatter.elements) == ("reduce-scatter", 2)
  assert (reduce.kind, reduce.loops) == ("all-reduce", ("decode/while",))
  assert reduce.source == "decode/while/body/dot"
