"""Types, unknown names and freezing, whatever the config class."""

import dataclasses

import pytest

from grpo_jax import config
from tests.config.helpers import architecture, experiment, refused


def test_a_sound_experiment_passes():
  config.check(experiment())


@pytest.mark.fault(21)
@pytest.mark.parametrize(
  ("bad", "words"),
  [
    (config.Rollout(prompts="8"), ("config.prompts", "'8'", "int", "str")),
    (config.Rollout(prompts=8.0), ("config.prompts", "8.0", "int", "float")),
    (config.Rollout(group_size=True), ("config.group_size", "True", "int", "bool")),
    (config.Rollout(temperature="1"), ("config.temperature", "float", "str")),
    (config.Rollout(temperature=None), ("config.temperature", "float", "None")),
    (config.Rollout(temperature=True), ("config.temperature", "float", "bool")),
    (config.LossConfig(mask_truncated=1), ("config.mask_truncated", "bool", "int")),
    (config.LossConfig(objective=3), ("config.objective", "str", "int")),
    (config.GRPO(loss=config.Grouping()), ("config.loss", "LossConfig", "Grouping")),
    (config.GRPO(rewards={"number": "1"}), ("config.rewards", "dict")),
    (config.GRPO(rewards={1: 1.0}), ("config.rewards", "dict")),
    (config.GRPO(rewards=["number"]), ("config.rewards", "dict", "list")),
    (config.Architecture(rope_scaling=8.0), ("config.rope_scaling", "RopeScaling", "float")),
    (config.Model(architecture={}), ("config.architecture", "Architecture", "dict")),
  ],
)
def test_a_wrong_type_is_refused_by_field_value_and_type(bad, words):
  refused(bad, *words)


def test_an_int_is_a_float():
  config.check(config.Rollout(temperature=1))
  config.check(config.GRPO(rewards={"number": 1}))


def test_the_line_names_the_flag_of_a_field_deep_inside():
  bad = experiment(config.GRPO(rollout=config.Rollout(prompts=0)))
  refused(bad, "config.stages.grpo.rollout.prompts=0", ">= 1")


@pytest.mark.fault(21)
def test_contradictions_are_named_by_their_place():
  bad = experiment(config.GRPO(optimizer=config.Optimizer(lr=1e-5, min_lr=1e-4)))
  refused(bad, "config.stages.grpo.optimizer:", "min_lr=0.0001", "lr=1e-05")


def test_a_stage_that_is_no_stage_is_refused():
  refused(experiment(stages={"grpo": config.Rollout()}), "config.stages")


@pytest.mark.fault(21)
def test_an_unknown_field_cannot_be_set_and_the_nearest_is_named():
  loss = config.LossConfig()
  with pytest.raises(config.ConfigError) as error:
    loss.clip_hihg = 0.3
  line = str(error.value)
  assert "\n" not in line
  assert "LossConfig" in line
  assert "'clip_hihg'" in line
  assert "clip_high" in line, f"the nearest known field is not named: {line!r}"


def test_an_unknown_field_cannot_be_constructed():
  with pytest.raises((TypeError, config.ConfigError), match="clip_hihg"):
    config.LossConfig(clip_hihg=0.3)


def test_fields_have_no_order_to_mistake():
  for name in config.__all__:
    kind = getattr(config, name)
    if dataclasses.is_dataclass(kind):
      with pytest.raises(TypeError):
        kind(1)


def test_what_is_frozen_stays_what_it_is():
  run = experiment()
  config.freeze(run)
  for holder, name in [(run, "seed"), (run.model, "dtype"), (run.stages["grpo"].loss, "clip_low")]:
    before = getattr(holder, name)
    with pytest.raises(config.ConfigError, match=name):
      setattr(holder, name, before)
    assert getattr(holder, name) == before


def test_what_is_not_frozen_can_be_set():
  run = experiment()
  run.stages["grpo"].optimizer.lr = 3e-4
  assert run.stages["grpo"].optimizer.lr == 3e-4


def test_an_error_is_a_value_error():
  assert issubclass(config.ConfigError, ValueError)


def test_two_configs_never_share_a_part():
  one, two = config.GRPO(), config.GRPO()
  one.loss.clip_low = 0.1
  one.rewards["format"] = 1.0
  assert two.loss.clip_low == 0.2
  assert two.rewards == {"number": 1.0}


def test_what_names_a_compiled_program_is_hashable():
  """A Network and a loss are static arguments of jit: equal ones must hash alike."""
  assert hash(architecture()) == hash(architecture())
  assert hash(config.LossConfig()) == hash(config.LossConfig())
  assert hash(config.LossConfig()) != hash(config.LossConfig(clip_low=0.1))
