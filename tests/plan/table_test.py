import json

import pytest

from grpo_jax import config
from grpo_jax.plan import table
from grpo_jax.plan.compiled import Compiled
from grpo_jax.plan.plan import plan
from grpo_jax.plan.presets import MODELS
from grpo_jax.plan.table import Report
from tests.plan import helpers

_COMPILED = {"grpo": {"update": Compiled(argument=5, output=4, alias=4, temp=2 * 10**9)}}


def _plan(topology: str = "h100:8", **parallel):
  experiment = helpers.experiment(dtype="bfloat16")
  experiment.parallel = config.Parallel(**({"mode": "pmap"} | parallel))
  return plan(experiment, helpers.request(topology, MODELS["qwen2.5-1.5b"]))


def test_a_step_costs_its_seconds_on_all_devices():
  found = _plan()
  stage = found.stages["grpo"]
  assert table.dollars(found, stage, 3.0) == pytest.approx(8 * 3.0 * stage.seconds / 3600)


def test_the_text_has_every_phase_and_part():
  found = _plan()
  whole = "\n".join(table.text(Report(found, notes=["something is assumed"], price=3.0)))
  stage = found.stages["grpo"]
  parts = [part for parts in stage.memory.programs.values() for part in parts]
  for words in (*stage.phases, *stage.memory.always, *parts, "note: something", "$", "fits"):
    assert words in whole, words


def test_what_the_compiler_says_stands_beside():
  found = _plan()
  lines = table.text(Report(found, compiled=_COMPILED))
  row = next(line.split() for line in lines if line.split()[:2] == ["update", "2.000"])
  planned = sum(found.stages["grpo"].memory.programs["update"].values())
  assert float(row[2]) == pytest.approx(planned / 1e9, abs=0.05)


def test_what_would_fit_is_typed_out():
  found = _plan("v5e", mode="single")
  assert not found.fits
  lines = table.text(Report(found, [{"model.remat": True}], more=(4, {"parallel.fsdp": 4})))
  assert lines[-2:] == [
    "  would fit with --config.model.remat=True",
    "  would fit on 4 x v5e with --config.parallel.fsdp=4",
  ]
  assert "nothing that the config can set" in table.text(Report(found))[-1]


def test_values_are_json_and_those_of_the_plan():
  found = _plan()
  values = json.loads(json.dumps(table.values(Report(found, price=3.0, compiled=_COMPILED))))
  stage = values["stages"]["grpo"]
  assert values["peak"] == found.peak
  assert stage["seconds"] == pytest.approx(sum(p["seconds"] for p in stage["phases"].values()))
  always = sum(stage["memory"]["always"].values())
  assert stage["peak_compiled"] == pytest.approx(always + 2e9)
