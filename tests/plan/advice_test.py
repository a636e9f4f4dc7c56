import contextlib

import pytest

from grpo_jax import config
from grpo_jax.plan.advice import advise, apply, flags
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
  assert advise(helpers.experiment(_LARGE), _asked("l4", "llama3-70b")) == []


def test_what_is_set_is_a_copy():
  experiment = helpers.experiment()
  changed = apply(experiment, {"stages.grpo.rollout.prompts": 2, "model.remat": False})
  assert changed.stages["grpo"].rollout.prompts == 2
  assert experiment.stages["grpo"].rollout.prompts == 8
  assert experiment.model.remat


def test_it_is_written_as_it_is_typed():
  assert flags({"model.remat": True}) == "--config.model.remat=True"
