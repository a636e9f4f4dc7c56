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
    ("dapo", {}, {"clip_low": 0.2, "clip_high": 0.28, "aggregation": "token_mean"}),
    ("gspo", {}, {"objective": "gspo", "clip_low": 3e-4, "clip_high": 4e-4}),
    ("cispo", {}, {"objective": "cispo", "ratio_cap": 5.0, "ratio_floor": 0.0}),
    ("gmpo", {}, {"objective": "gmpo", "clip_low": 0.4, "clip_high": 0.4}),
    ("sapo", {}, {"objective": "sapo", "tau_positive": 1.0, "tau_negative": 1.05}),
    ("maxrl", {"scale": "group_mean"}, {}),
    ("scalerl", {"scale": "batch_std"}, {"objective": "cispo", "aggregation": "prompt_mean"}),
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


_LOSS_CONTRADICTIONS = [
  ({"objective": "gspo"}, ["gspo", "3e-4"]),
  ({"objective": "gspo_token", "clip_low": 3e-4}, ["gspo", "clip_high=0.2"]),
  ({"objective": "cispo"}, ["cispo", "ratio_cap=0.0", "cap of 1 or more"]),
  ({"objective": "cispo", "ratio_cap": 0.2}, ["ratio_cap=0.2"]),
  ({"objective": "cispo", "ratio_cap": 5.0, "clip_high": 0.28}, ["clip_high=0.28", "no effect"]),
  ({"objective": "sapo", "clip_low": 0.1}, ["clip_low=0.1", "no effect"]),
  ({"objective": "reinforce", "dual_clip": 3.0}, ["dual_clip=3.0", "ppo_clip"]),
  ({"ratio_cap": 5.0}, ["ratio_cap=5.0", "cispo"]),
  ({"tau_positive": 2.0}, ["tau_positive=2.0", "sapo"]),
  ({"sampler_cap": 3.0}, ["sampler_cap=3.0", "sampler_correction='none'"]),
  ({"sampler_correction": "truncate", "sampler_floor": 0.1}, ["sampler_floor=0.1", "icepop"]),
  (
    {"sampler_correction": "icepop", "sampler_cap": 0.4},
    ["sampler_cap=0.4", "sampler_floor=0.5"],
  ),
  ({"kl_estimator": "k1"}, ["kl_estimator='k1'", "kl_coefficient=0"]),
  ({"kl_place": "reward"}, ["kl_place='reward'", "kl_coefficient=0"]),
  ({"kl_unbiased": True}, ["kl_unbiased=True", "kl_coefficient=0"]),
  (
    {"kl_unbiased": True, "kl_place": "reward", "kl_coefficient": 0.1},
    ["kl_unbiased", "kl_place='reward'"],
  ),
  (
    {"kl_place": "returns", "kl_coefficient": 0.1, "objective": "gmpo"},
    ["kl_place='returns'", "gspo_token"],
  ),
]


@pytest.mark.fault(21)
@pytest.mark.parametrize(("fields", "said"), _LOSS_CONTRADICTIONS)
def test_a_loss_that_means_something_else_is_refused(fields, said):
  refused(config.LossConfig(**fields), *said)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
  ("stage", "said"),
  [
    (
      {"rollout": config.Rollout(group_size=2), "grouping": config.Grouping(ddof=1)},
      ["group_size=2", "ddof=1"],
    ),
    (
      {
        "rollout": config.Rollout(group_size=1),
        "grouping": config.Grouping(baseline="none", scale="none"),
        "selection": config.Selection(no_signal="refill"),
      },
      ["no_signal='refill'", "group_size=1"],
    ),
    (
      {
        "rollout": config.Rollout(max_tokens=8),
        "shaping": config.Shaping(overlong_buffer=9),
      },
      ["overlong_buffer=9", "max_tokens=8"],
    ),
    ({"grouping": config.Grouping(scale="none", ddof=1)}, ["ddof=1", "no effect"]),
    ({"selection": config.Selection(rounds=3)}, ["rounds=3", "no effect"]),
  ],
)
def test_a_stage_that_cannot_learn_is_refused(stage, said):
  refused(config.GRPO(**stage), *said)


@pytest.mark.parametrize("name", config.PRESETS)
def test_a_stage_takes_a_preset_and_overrides(name):
  stage = config.GRPO(**config.preset(name), rollout=config.Rollout(max_tokens=32))
  stage.loss.kl_coefficient = 0.1
  config.check(stage)
  assert config.PRESETS[name].loss.kl_coefficient == 0
