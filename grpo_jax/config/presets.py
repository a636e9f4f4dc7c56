"""Published recipes by name, each with the convention that it matches."""

import dataclasses

from grpo_jax.config.algorithm import AlgorithmConfig, Grouping, Selection, Shaping
from grpo_jax.config.fields import ConfigError, freeze, unknown_field
from grpo_jax.config.loss import LossConfig

# The usual eps of the frameworks named below; without a std nothing is divided and eps is unread.
_CENTRED = Grouping(scale="none")
_BESSEL = Grouping(ddof=1)

PRESETS: dict[str, AlgorithmConfig] = {
  # The project's own: population std, each answer's mean; Shao et al. 2024 (DeepSeekMath), eq. 3.
  "grpo": AlgorithmConfig(),
  # TRL's GRPOTrainer with loss_type="grpo": Bessel's std, eps 1e-4.
  "grpo_trl": AlgorithmConfig(grouping=Grouping(ddof=1, eps=1e-4)),
  # verl's compute_grpo_outcome_advantage with loss_agg_mode="token-mean".
  "grpo_verl": AlgorithmConfig(grouping=_BESSEL, loss=LossConfig(aggregation="token_mean")),
  # Liu et al. 2025 (Understanding R1-Zero-Like Training): no std, a constant divisor.
  "dr_grpo": AlgorithmConfig(grouping=_CENTRED, loss=LossConfig(aggregation="constant")),
  # Yu et al. 2025 (DAPO): wider above than below, mean over tokens, groups with signal only. Its
  # over-long penalty is a number of tokens, and so left to the experiment: shaping.overlong_buffer.
  "dapo": AlgorithmConfig(
    selection=Selection(no_signal="refill"),
    loss=LossConfig(clip_high=0.28, aggregation="token_mean"),
  ),
  # Zheng et al. 2025 (GSPO): one ratio an answer, and bounds to match.
  "gspo": AlgorithmConfig(loss=LossConfig(objective="gspo", clip_low=3e-4, clip_high=4e-4)),
  # MiniMax 2025 (MiniMax-M1): capped weights, no token without gradient; mean over tokens.
  "cispo": AlgorithmConfig(
    loss=LossConfig(objective="cispo", ratio_cap=5.0, aggregation="token_mean")
  ),
  # Zhao et al. 2025 (GMPO): the geometric mean of ratios bounded within e^-0.4 and e^0.4.
  "gmpo": AlgorithmConfig(loss=LossConfig(objective="gmpo", clip_low=0.4, clip_high=0.4)),
  # Gao et al. 2025 (SAPO): a soft gate instead of a clip.
  "sapo": AlgorithmConfig(loss=LossConfig(objective="sapo")),
  # Ahmadian et al. 2024 (Back to Basics): leave-one-out REINFORCE on whole answers.
  "rloo": AlgorithmConfig(
    grouping=Grouping(baseline="leave_one_out", scale="none"),
    loss=LossConfig(objective="reinforce", aggregation="sequence_sum"),
  ),
  # Hu et al. 2025 (REINFORCE++): no baseline but the batch's; kl_place="returns" adds its KL.
  "reinforce_pp": AlgorithmConfig(
    grouping=Grouping(baseline="none", scale="none"),
    shaping=Shaping(whiten=True),
    loss=LossConfig(aggregation="token_mean"),
  ),
  # Its form with a group baseline.
  "reinforce_pp_baseline": AlgorithmConfig(
    grouping=_CENTRED, shaping=Shaping(whiten=True), loss=LossConfig(aggregation="token_mean")
  ),
  # Tajwar et al. 2026 (MaxRL): divided by the group's mean.
  "maxrl": AlgorithmConfig(grouping=Grouping(scale="group_mean")),
  # Liu et al. 2026 (GDPO): several rewards, each normalised by itself.
  "gdpo": AlgorithmConfig(shaping=Shaping(gdpo=True)),
  # Khatri et al. 2025 (ScaleRL): CISPO, a mean a prompt, the batch's std, solved prompts retired.
  "scalerl": AlgorithmConfig(
    grouping=Grouping(scale="batch_std"),
    selection=Selection(no_signal="drop", retire_at=0.9),
    loss=LossConfig(objective="cispo", ratio_cap=5.0, aggregation="prompt_mean"),
  ),
}


def preset(name: str) -> AlgorithmConfig:
  """A copy of a preset, whose fields may be overridden: PRESETS itself is frozen.

  Raises:
    ConfigError: there is none of this name; the message names the nearest.
  """
  if name not in PRESETS:
    raise ConfigError(unknown_field("config.PRESETS", name, PRESETS))
  whole = PRESETS[name]
  return AlgorithmConfig(**{part: dataclasses.replace(whole[part]) for part in list(whole.keys())})


freeze(PRESETS)
