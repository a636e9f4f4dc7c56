import contextlib
import dataclasses

import pytest

from grpo_jax import config
from grpo_jax.plan.advice import advise, enough
from grpo_jax.plan.overrides import apply, flags
from grpo_jax.plan.plan import plan
from grpo_jax.plan.presets import MODELS
from tests.plan import helpers

_LARGE = config.GRPO(steps=10, rollout=config.Rollout(prompts=64, group_size=8, max_tokens=1024))


def _asked(topology, model):
  return helpers.request(topology, MODELS[model], S=256)


@pytest.mark.parametrize(
  ("topology", "model", "fields"),
  [
    ("h100", "qwen2.5-1.5b", {}),
    ("h100", "qwen2.5-0.5b", {"remat": False, "logprob_chunk": 65536}),
    ("l4", "qwen2.5-0.5b", {"dtype": "bfloat16"}),
    ("h100", "qwen2.5-0.5b", {"dtype": "bfloat16", "unroll": 0}),
    ("v5p:2x2x1", "qwen2.5-7b", {"dtype": "bfloat16"}),
    ("v5p:4x4x4", "llama3-70b", {"dtype": "bfloat16"}),
  ],
)
def test_advice_makes_it_fit_when_it_is_followed(topology, model, fields):
  experiment, request = helpers.experiment(_LARGE, **fields), _asked(topology, model)
  assert not plan(experiment, request).fits
  advice = advise(experiment, request)
  assert advice
  for overrides in advice:
    assert plan(apply(experiment, overrides), request).fits, overrides


def test_nothing_in_a_combination_can_be_left_out():
  experiment, request = helpers.experiment(_LARGE), _asked("v5p:2x2x1", "qwen2.5-7b")
  [overrides] = advise(experiment, request)
  assert len(overrides) > 1
  for path in overrides:
    rest = {name: value for name, value in overrides.items() if name != path}
    with contextlib.suppress(config.ConfigError):
      assert not plan(apply(experiment, rest), request).fits


def test_what_fits_needs_no_advice():
  assert advise(helpers.experiment(), helpers.request()) == []


def test_there_is_none_where_nothing_helps():
  experiment, request = helpers.experiment(_LARGE, dtype="bfloat16"), _asked("v5e", "qwen2.5-7b")
  assert advise(experiment, request) == []


def test_more_devices_are_enough_as_they_are_laid_out():
  experiment, request = helpers.experiment(_LARGE, dtype="bfloat16"), _asked("v5e", "qwen2.5-7b")
  count, overrides = enough(experiment, request)
  topology = dataclasses.replace(request.topology, count=count)
  larger = dataclasses.replace(request, topology=topology)
  assert plan(apply(experiment, overrides), larger).fits


def test_micro_batches_give_way_where_devices_divide_the_rows():
  stage = config.GRPO(
    rollout=config.Rollout(prompts=32, group_size=8, max_tokens=512),
    optimizer=config.Optimizer(micro_batches=16),
  )
  experiment = helpers.experiment(stage, dtype="bfloat16")
  advice = advise(experiment, _asked("v5e:2x2", "qwen2.5-1.5b"))
  assert any(of.get("stages.grpo.optimizer.micro_batches") == 8 for of in advice)


def test_what_is_set_is_a_copy():
  experiment = helpers.experiment()
  changed = apply(experiment, {"stages.grpo.rollout.prompts": 2, "model.remat": False})
  assert changed.stages["grpo"].rollout.prompts == 2
  assert experiment.stages["grpo"].rollout.prompts == 8
  assert experiment.model.remat


def test_it_is_written_as_it_is_typed():
  assert flags({"model.remat": True}) == "--config.model.remat=True"
