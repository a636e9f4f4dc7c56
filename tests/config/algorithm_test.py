"""Presets against the conventions that ALGORITHMS names, and contradictions of an algorithm."""

import pytest

from grpo_jax import config
from tests.config.helpers import refused


def test_the_notes_own_grpo():
  """Pitfall 8: the population std, ddof 0."""
  preset = config.PRESETS["grpo"]
  assert dict(preset.grouping) == {
    "baseline": "mean",
    "scale": "group_std",
    "ddof": 0,
    "eps": 1e-6,
  }
  assert (preset.loss.clip_low, preset.loss.clip_high) == (0.2, 0.2)
  assert preset.loss.aggregation == "sequence_mean"
  assert preset.loss.objective == "ppo_clip"
  assert preset.loss.kl_coefficient == 0
  assert preset.loss.dual_clip == 0
  assert preset.loss.sampler_correction == "none"


@pytest.mark.parametrize(
  ("name", "grouping", "loss"),
  [
    ("grpo_trl", {"baseline": "mean", "scale": "group_std", "ddof": 1, "eps": 1e-4}, {}),
    ("grpo_verl", {"scale": "group_std", "ddof": 1, "eps": 1e-6}, {"aggregation": "token_mean"}),
    ("dr_grpo", {"baseline": "mean", "scale": "none"}, {"aggregation": "constant"}),
    ("rloo", {"baseline": "leave_one_out", "scale": "none"}, {"objective": "reinforce"}),
  ],
)
def test_presets_of_others(name, grouping, loss):
  preset = config.PRESETS[name]
  assert {key: preset.grouping[key] for key in grouping} == grouping
  assert {key: getattr(preset.loss, key) for key in loss} == loss


def test_defaults_are_the_grpo_preset():
  assert config.AlgorithmConfig() == config.PRESETS["grpo"]


@pytest.mark.parametrize("name", config.PRESETS)
def test_every_preset_passes_its_own_checks(name):
  config.check(config.PRESETS[name])


@pytest.mark.parametrize("baseline", ["leave_one_out", "length_weighted", "none"])
def test_maxrl_needs_the_mean_as_baseline(baseline):
  refused(config.Grouping(scale="group_mean", baseline=baseline), "group_mean", "baseline")
  config.check(config.Grouping(scale="group_mean", baseline="mean"))


@pytest.mark.parametrize("bound", [0.5, 1.0])
def test_a_dual_clip_under_one_would_clip_the_ratio_one(bound):
  refused(config.LossConfig(dual_clip=bound), "dual_clip", str(bound))
