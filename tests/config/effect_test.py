"""Every field of an algorithm changes what is computed, or is refused where nothing reads it."""

import dataclasses

import numpy as np
import pytest

from grpo_jax import config
from tests import losses_test, properties_test

_GSPO = {"objective": "gspo", "clip_low": 0.04, "clip_high": 0.04}
_CISPO = {"objective": "cispo", "ratio_cap": 1.2}
_ICEPOP = {"sampler_correction": "icepop", "sampler_floor": 0.7, "sampler_cap": 1.5}
_KL = {"kl_coefficient": 0.3}

# field: (fields beside it, another value than its default)
LOSS = {
  "objective": ({}, "sapo"),
  "clip_low": ({}, 0.05),
  "clip_high": ({}, 0.05),
  "dual_clip": ({}, 1.1),
  "ratio_floor": (_CISPO, 0.95),
  "ratio_cap": (_CISPO, 1.05),
  "tau_positive": ({"objective": "sapo"}, 2.0),
  "tau_negative": ({"objective": "sapo"}, 2.0),
  "aggregation": ({}, "token_mean"),
  "kl_coefficient": ({}, 0.3),
  "kl_estimator": (_KL, "k2"),
  "kl_unbiased": (_KL, True),
  "kl_place": (_KL, "reward"),
  "entropy_coefficient": ({}, 0.1),
  "entropy_top": ({}, 0.5),
  "sampler_correction": ({}, "truncate"),
  "sampler_floor": (_ICEPOP, 0.9),
  "sampler_cap": (_ICEPOP, 1.1),
  "sampler_sequence_cap": ({"sampler_correction": "sequence_mask"}, 0.9),
  "mask_truncated": ({}, True),
}


@pytest.mark.parametrize("name", LOSS)
def test_every_field_of_the_loss_moves_the_loss_and_is_allowed_to(name):
  beside, value = LOSS[name]
  before, after = beside, {**beside, name: value}
  for fields in (before, after):
    config.check(config.LossConfig(**fields))
  given = losses_test.inputs()
  if name == "entropy_coefficient":  # its gradient flows through the entropy
    assert losses_test.loss(given, **before) != losses_test.loss(given, **after)
  else:
    left, right = (losses_test.gradient(given, fields) for fields in (before, after))
    assert np.abs(left - right).max() > 1e-4


SHAPES = {
  "baseline": ({}, {"grouping": {"baseline": "leave_one_out"}}),
  "scale": ({}, {"grouping": {"scale": "none"}}),
  "ddof": ({}, {"grouping": {"ddof": 1}}),
  "eps": ({}, {"grouping": {"eps": 0.1}}),
  "gdpo": ({}, {"shaping": {"gdpo": True}}),
  "whiten": ({}, {"shaping": {"whiten": True}}),
  "overlong_buffer": ({}, {"shaping": {"overlong_buffer": 4}}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_field_of_grouping_and_shaping_moves_the_advantages(name):
  given = properties_test.batch()
  left, right = (_advantages(given, fields) for fields in SHAPES[name])
  assert np.abs(left - right).max() > 1e-3


def _advantages(given, fields) -> np.ndarray:
  kinds = {"grouping": config.Grouping, "shaping": config.Shaping}
  parts = {name: kinds[name](**own) for name, own in fields.items()}
  stage = config.GRPO(rollout=config.Rollout(max_tokens=properties_test.T), **parts)
  config.check(stage)
  found = np.asarray(properties_test.advantages(given, stage))
  if found.ndim == 2:
    found = found[..., None]
  return np.where(given["mask"], np.broadcast_to(found, given["mask"].shape), 0)


def test_no_field_is_left_out():
  assert set(LOSS) == {field.name for field in dataclasses.fields(config.LossConfig)}
  kinds = (config.Grouping, config.Shaping)
  assert set(SHAPES) == {field.name for kind in kinds for field in dataclasses.fields(kind)}
