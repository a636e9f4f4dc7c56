"""The fields of the policy loss, and which of them go together."""

import dataclasses

from grpo_jax.config.fields import Config, field

OBJECTIVES = ("ppo_clip", "gspo", "gspo_token", "cispo", "gmpo", "sapo", "reinforce")
AGGREGATIONS = ("token_mean", "sequence_mean", "constant", "sequence_sum", "prompt_mean")
KL_ESTIMATORS = ("k1", "k2", "k3")
KL_PLACES = ("loss", "reward", "returns")
CORRECTIONS = ("none", "truncate", "icepop", "sequence_mask")
# The objective or correction that reads a field: to set it beside another one has no effect.
_READERS = {
  "clip_low": ("ppo_clip", "gspo", "gspo_token", "gmpo"),
  "clip_high": ("ppo_clip", "gspo", "gspo_token", "gmpo"),
  "dual_clip": ("ppo_clip",),
  "ratio_floor": ("cispo",),
  "ratio_cap": ("cispo",),
  "tau_positive": ("sapo",),
  "tau_negative": ("sapo",),
  "sampler_cap": ("truncate", "icepop"),
  "sampler_floor": ("icepop",),
  "sampler_sequence_cap": ("sequence_mask",),
}


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class LossConfig(Config):
  """The policy loss, `losses.policy_loss`.

  objective: a function of `losses.OBJECTIVES`.
  clip_low, clip_high: the ratio is trusted within [1 - clip_low, 1 + clip_high]; GSPO's ratio is of
    a whole answer and wants 3e-4 and 4e-4; GMPO bounds log rho within [-clip_low, clip_high].
  dual_clip: for a negative advantage the loss of a token stays under -dual_clip * A; 0 is off.
  ratio_floor, ratio_cap: CISPO's bounds, ratios themselves: 0.2 is a fifth and not 1.2.
  tau_positive, tau_negative: how fast SAPO's gradient falls off, by the sign of A.
  kl_coefficient: weight of the KL to the reference; 0 loads no reference.
  kl_unbiased: the KL is weighted with rho, which corrects it for samples of the old policy.
  kl_place: "loss" adds it to each token's loss; "reward" takes its sum off an answer's reward;
    "returns" takes the sum from each token on off that token's advantage (REINFORCE++).
  entropy_coefficient: weight of the entropy bonus.
  entropy_top: share of tokens that carry loss, those of highest entropy; 1 is all.
  sampler_correction: weights for pi_old/mu, `losses.CORRECTIONS`; sampler_cap and sampler_floor
    bound that of a token, sampler_sequence_cap that of an answer.
  mask_truncated: answers that the length budget cut carry no loss (DAPO's overlong filtering).
  """

  objective: str = field("ppo_clip", choices=OBJECTIVES)
  clip_low: float = field(0.2, above=0, below=1)
  clip_high: float = field(0.2, above=0)
  dual_clip: float = field(0.0, least=0)
  ratio_floor: float = field(0.0, least=0, most=1)
  ratio_cap: float = field(0.0, least=0)
  tau_positive: float = field(1.0, above=0)
  tau_negative: float = field(1.05, above=0)
  aggregation: str = field("sequence_mean", choices=AGGREGATIONS)
  kl_coefficient: float = field(0.0, least=0)
  kl_estimator: str = field("k3", choices=KL_ESTIMATORS)
  kl_unbiased: bool = False
  kl_place: str = field("loss", choices=KL_PLACES)
  entropy_coefficient: float = field(0.0)
  entropy_top: float = field(1.0, above=0, most=1)
  sampler_correction: str = field("none", choices=CORRECTIONS)
  sampler_floor: float = field(0.5, least=0, most=1)
  sampler_cap: float = field(2.0, above=0)
  sampler_sequence_cap: float = field(3.0, above=0)
  mask_truncated: bool = False

  def contradictions(self) -> list[str]:
    return [*self._unread(), *self._bounds(), *self._kl()]

  def _unread(self) -> list[str]:
    chosen, problems = (self.objective, self.sampler_correction), []
    for f in dataclasses.fields(self):
      readers = _READERS.get(f.name)
      value = getattr(self, f.name)
      if readers and value != f.default and not set(chosen) & set(readers):
        owner = "sampler_correction" if f.name.startswith("sampler") else "objective"
        problems.append(
          f"{f.name}={value} has no effect with {owner}={getattr(self, owner)!r}: only"
          f" {' and '.join(readers)} read it"
        )
    return problems

  def _bounds(self) -> list[str]:
    problems = []
    if 0 < self.dual_clip <= 1:
      problems.append(f"dual_clip={self.dual_clip} must be above 1, or 0 for off (3 is usual)")
    if self.objective.startswith("gspo") and max(self.clip_low, self.clip_high) > 0.05:
      problems.append(
        f"objective={self.objective!r} with clip_low={self.clip_low}, clip_high={self.clip_high}:"
        " the ratio of a whole answer never gets that far; 3e-4 and 4e-4 are usual"
      )
    if self.objective == "cispo" and self.ratio_cap < 1:
      problems.append(
        f"objective='cispo' with ratio_cap={self.ratio_cap}: it needs a cap of 1 or more, a ratio"
        " itself (5 is usual)"
      )
    if self.sampler_correction == "icepop" and self.sampler_cap <= self.sampler_floor:
      problems.append(
        f"sampler_cap={self.sampler_cap} must be above sampler_floor={self.sampler_floor}"
      )
    return problems

  def _kl(self) -> list[str]:
    set_without = [
      name
      for name, default in (("kl_estimator", "k3"), ("kl_unbiased", False), ("kl_place", "loss"))
      if self.kl_coefficient == 0 and getattr(self, name) != default
    ]
    if set_without:
      name = set_without[0]
      return [f"{name}={getattr(self, name)!r} has no effect with kl_coefficient=0"]
    if self.kl_unbiased and self.kl_place != "loss":
      return ["kl_unbiased weights the KL in the loss: it has no effect with kl_place='reward'"]
    if self.kl_place == "returns" and self.objective in ("gspo", "gmpo"):
      return [
        f"kl_place='returns' makes an advantage for each token, and objective={self.objective!r}"
        " has one an answer: use gspo_token, or kl_place='reward'"
      ]
    return []
