"""The command as it is typed, on the committed experiment files."""

import json
import os
import runpy
import subprocess
import sys

import pytest

from grpo_jax import config
from grpo_jax.run.planning import report

_CONFIGS = os.path.join("experiments", "configs")


def _experiment(file: str, *chosen: str) -> config.Experiment:
  return runpy.run_path(os.path.join(_CONFIGS, f"{file}.py"))["get_config"](*chosen)


def _values(experiment: config.Experiment, **asked):
  [line] = report(experiment, as_json=True, **asked)
  return json.loads(line)


@pytest.mark.parametrize(
  "file",
  [
    "smollm2_addition",
    "tiny_arithmetic",
    "assistant_pipeline",
    "reward_strategies",
    "overoptimisation",
    "scaling",
    "qwen2.5_gsm8k",
  ],
)
def test_every_experiment_file_can_be_planned(file):
  experiment = _experiment(file)
  found = _values(experiment, topology="h100", price=2.0, model="smollm2-135m")
  assert list(found["stages"]) == list(experiment.stages)
  for name, stage in found["stages"].items():
    assert stage["seconds"] > 0 < stage["memory"]["peak"]
    dollars = stage["seconds"] / 3600 * 2.0
    assert stage["dollars"]["step"] == pytest.approx(dollars)
    assert stage["dollars"]["stage"] == pytest.approx(dollars * experiment.stages[name].steps)


def test_a_model_from_scratch_is_that_of_its_tokenizer():
  from benchmarks.scaling import parameters

  assert _values(_experiment("scaling", "2x64"))["parameters"] == parameters("2x64")


def test_what_is_assumed_is_said():
  notes = _values(_experiment("qwen2.5_gsm8k"), topology="h100")["notes"]
  assert any("the shape is that of qwen2.5-1.5b" in note for note in notes)
  assert any("prompts of 256 tokens are assumed" in note for note in notes)


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"topology": "v5:2x2"}, "did you mean"),
    ({"model": "qwen2.5-8b"}, "did you mean 'qwen2.5-"),
    ({"prompt_tokens": 10**6}, "leaves"),
    ({"topology": "h100:3", "compiled": True}, "--compile is for one device"),
    ({"answer_tokens": 100}, "rollout.max_tokens=12"),
  ],
)
def test_bad_input_is_one_line(fields, said):
  experiment = _experiment("smollm2_addition")
  with pytest.raises(config.ConfigError) as error:
    report(experiment, **({"model": "smollm2-135m"} | fields))
  assert said in str(error.value)
  assert "\n" not in str(error.value)


def test_a_mesh_that_does_not_fit_the_devices_is_one_line():
  experiment = _experiment("qwen2.5_gsm8k")
  experiment.parallel = config.Parallel(mode="mesh", fsdp=3)
  with pytest.raises(config.ConfigError, match="does not use all of 8 devices"):
    report(experiment, topology="h100:8")


def test_weights_of_an_unknown_name_ask_for_a_model():
  experiment = _experiment("qwen2.5_gsm8k")
  experiment.model.weights = "somewhere/mine"
  with pytest.raises(config.ConfigError, match="--model="):
    report(experiment)


def _command(*flags: str) -> subprocess.CompletedProcess:
  command = [sys.executable, "-m", "experiments.plan", *flags]
  env = os.environ | {"JAX_PLATFORMS": "cpu"}
  return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def test_the_command_prints_a_plan():
  done = _command(
    f"--config={_CONFIGS}/qwen2.5_gsm8k.py",
    "--topology=v5p:2x2x2",
    "--config.parallel.mode=mesh",
    "--config.parallel.fsdp=8",
    "--config.stages.grpo.optimizer.micro_batches=2",
    "--model=qwen2.5-7b",
    "--price=4.2",
  )
  assert done.returncode == 0, done.stderr
  for words in ("7,615,616,512 parameters", "8 x v5p", "stage grpo (GRPO)", "update", "$", "fits"):
    assert words in done.stdout, words


def test_the_command_refuses_in_one_line():
  done = _command(f"--config={_CONFIGS}/tiny_arithmetic.py", "--topology=h10:8")
  assert done.returncode == 2
  assert done.stderr.strip().splitlines() == [
    "error: --topology=h10:8: no device 'h10': did you mean 'h100'? known are v4, v5e, v5p, v6e,"
    " v7x, l4, a100, h100, h200, b200, cpu"
  ]
