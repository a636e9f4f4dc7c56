"""What makes one algorithm another: advantages, objective, aggregation, KL; and presets."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from grpo_jax.config.fields import Config, ConfigError, field, freeze, unknown_field

BASELINES = ("mean", "leave_one_out", "length_weighted", "none")
SCALES = ("group_std", "batch_std", "group_mean", "none")
OBJECTIVES = ("ppo_clip", "reinforce")
AGGREGATIONS = ("token_mean", "sequence_mean", "constant", "sequence_sum", "prompt_mean")
KL_ESTIMATORS = ("k1", "k2", "k3")
CORRECTIONS = ("none", "truncate")


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Grouping(Config):
  """The keyword arguments of `grouping.group_advantages`, which says what each means.

  It is a mapping too, so that `group_advantages(rewards, **preset.grouping)` works.
  """

  baseline: str = field("mean", choices=BASELINES)
  scale: str = field("group_std", choices=SCALES)
  ddof: int = field(0, choices=(0, 1))
  eps: float = field(1e-6, least=0)

  def keys(self) -> Iterator[str]:
    return iter(f.name for f in dataclasses.fields(self))

  def __getitem__(self, name: str) -> Any:
    return getattr(self, name)

  def contradictions(self) -> list[str]:
    if self.scale == "group_mean" and self.baseline != "mean":
      return ["scale='group_mean' (MaxRL) is defined with baseline='mean' only"]
    return []


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class LossConfig(Config):
  """The policy loss, `losses.policy_loss`.

  clip_low, clip_high: the ratio is trusted within [1 - clip_low, 1 + clip_high].
  dual_clip: for a negative advantage the loss of a token stays under -dual_clip * A; 0 is off.
  kl_coefficient: weight of the KL to the reference in the loss; 0 loads no reference.
  entropy_coefficient: weight of the entropy bonus.
  sampler_correction, sampler_cap: weight on each token for pi_old/mu, capped (truncated IS).
  mask_truncated: answers that the length budget cut carry no loss (DAPO's overlong filtering).
  """

  objective: str = field("ppo_clip", choices=OBJECTIVES)
  clip_low: float = field(0.2, above=0, below=1)
  clip_high: float = field(0.2, above=0)
  dual_clip: float = field(0.0, least=0)
  aggregation: str = field("sequence_mean", choices=AGGREGATIONS)
  kl_coefficient: float = field(0.0, least=0)
  kl_estimator: str = field("k3", choices=KL_ESTIMATORS)
  entropy_coefficient: float = field(0.0)
  sampler_correction: str = field("none", choices=CORRECTIONS)
  sampler_cap: float = field(2.0, above=0)
  mask_truncated: bool = False

  def contradictions(self) -> list[str]:
    if 0 < self.dual_clip <= 1:
      return [f"dual_clip={self.dual_clip} must be above 1, or 0 for off (3 is usual)"]
    return []


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class AlgorithmConfig(Config):
  """A published recipe: how rewards become advantages and advantages become a loss."""

  grouping: Grouping = field(Grouping)
  loss: LossConfig = field(LossConfig)


def _preset(grouping: Mapping[str, Any], loss: Mapping[str, Any]) -> AlgorithmConfig:
  return AlgorithmConfig(grouping=Grouping(**grouping), loss=LossConfig(**loss))


PRESETS: dict[str, AlgorithmConfig] = {
  # The project's own convention: population std, as in Shao et al. 2024 (DeepSeekMath), eq. 3-4.
  "grpo": _preset({}, {}),
  # TRL's GRPOTrainer with loss_type="grpo": Bessel's std, eps 1e-4.
  "grpo_trl": _preset({"ddof": 1, "eps": 1e-4}, {}),
  # verl's compute_grpo_outcome_advantage with loss_agg_mode="token-mean".
  "grpo_verl": _preset({"ddof": 1}, {"aggregation": "token_mean"}),
  # Liu et al. 2025 (Understanding R1-Zero-Like Training): no std, a constant divisor.
  "dr_grpo": _preset({"scale": "none"}, {"aggregation": "constant"}),
  # Ahmadian et al. 2024 (Back to Basics): leave-one-out REINFORCE on whole answers.
  "rloo": _preset(
    {"baseline": "leave_one_out", "scale": "none"},
    {"objective": "reinforce", "aggregation": "sequence_sum"},
  ),
}


def preset(name: str) -> AlgorithmConfig:
  """A copy of a preset, whose fields may be overridden: PRESETS itself is frozen."""
  if name not in PRESETS:
    raise ConfigError(unknown_field("PRESETS", name, PRESETS))
  grouping, loss = PRESETS[name].grouping, PRESETS[name].loss
  return AlgorithmConfig(grouping=dataclasses.replace(grouping), loss=dataclasses.replace(loss))


freeze(PRESETS)
