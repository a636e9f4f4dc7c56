"""What is computed: inputs, config and the formula; `record` adds the numbers.

Every case has ratios on both sides of its bounds, answers from one token to the whole budget, one
masked answer, and rewards that tie, so that a wrong convention shows.
"""

import dataclasses
from typing import Any

import numpy as np

P, G, T = 3, 4, 5

GROUPING: dict[str, dict[str, Any]] = {
  "z_score": {},
  "grpo_trl": {"ddof": 1, "eps": 1e-4},
  "grpo_verl": {"ddof": 1, "eps": 1e-6},
  "z_score_eps": {"eps": 0.5},
  "centred": {"scale": "none"},
  "batch_scaled": {"scale": "batch_std"},
  "batch_scaled_ddof_1": {"scale": "batch_std", "ddof": 1},
  "reward_scaled": {"scale": "batch_reward_std"},
  "leave_one_out": {"baseline": "leave_one_out", "scale": "none"},
  "maxrl": {"scale": "group_mean"},
  "opo": {"baseline": "length_weighted", "scale": "none"},
  "no_baseline": {"baseline": "none", "scale": "none"},
}
_KL = {"kl_coefficient": 0.3}
LOSS: dict[str, dict[str, Any]] = {
  "ppo_clip": {},
  "grpo_trl": {"aggregation": "sequence_mean"},
  "grpo_verl": {"aggregation": "token_mean"},
  "ppo_clip_two_bounds": {"clip_low": 0.1, "clip_high": 0.28},
  "dual_clip": {"dual_clip": 1.3},
  "gspo": {"objective": "gspo", "clip_low": 0.03, "clip_high": 0.04},
  "gspo_token": {"objective": "gspo_token", "clip_low": 0.03, "clip_high": 0.04},
  "cispo": {"objective": "cispo", "ratio_cap": 1.2},
  "cispo_floor": {"objective": "cispo", "ratio_cap": 1.2, "ratio_floor": 0.9},
  "gmpo": {"objective": "gmpo", "clip_low": 0.2, "clip_high": 0.3},
  "sapo": {"objective": "sapo"},
  "sapo_taus": {"objective": "sapo", "tau_positive": 2.0, "tau_negative": 3.0},
  "reinforce": {"objective": "reinforce"},
  "token_mean": {"aggregation": "token_mean"},
  "sequence_mean": {"aggregation": "sequence_mean"},
  "constant": {"aggregation": "constant"},
  "sequence_sum": {"aggregation": "sequence_sum"},
  "prompt_mean": {"aggregation": "prompt_mean"},
  "kl_k1": _KL | {"kl_estimator": "k1"},
  "kl_k2": _KL | {"kl_estimator": "k2"},
  "kl_k3": _KL | {"kl_estimator": "k3"},
  "kl_k3_unbiased": _KL | {"kl_estimator": "k3", "kl_unbiased": True},
  "entropy_bonus": {"entropy_coefficient": 0.1},
  "entropy_top": {"entropy_top": 0.5},
  "truncated_is": {"sampler_correction": "truncate", "sampler_cap": 1.3},
  "icepop": {"sampler_correction": "icepop", "sampler_floor": 0.7, "sampler_cap": 1.5},
  "sequence_mask": {"sampler_correction": "sequence_mask", "sampler_sequence_cap": 1.1},
  "mask_truncated": {"mask_truncated": True, "aggregation": "token_mean"},
}
# Whose convention a case is: TRL 1.16.0, verl-project/verl at commit 018f23b5.
_TRL, _VERL = "trl/trainer/grpo_trainer.py", "verl/trainer/ppo/core_algos.py"
SOURCES = {
  ("group_advantages", "grpo_trl"): f"{_TRL}:2785-2787; the std is trl/trainer/utils.py:1021-1045",
  ("group_advantages", "grpo_verl"): f"{_VERL}:316-323, compute_grpo_outcome_advantage",
  ("group_advantages", "reward_scaled"): f"{_TRL}:2777",
  ("policy_loss", "grpo_trl"): f"{_TRL}:3112-3120 and 3154",
  ("policy_loss", "grpo_verl"): f"{_VERL}, agg_loss with loss_agg_mode='token-mean'",
}


@dataclasses.dataclass(frozen=True)
class Case:
  """function(*inputs, **options) is `value`; `gradient` is d value / d logprobs of a loss.

  source: the file and line of the convention, where the case is another framework's.
  """

  function: str
  name: str
  inputs: dict[str, np.ndarray]
  options: dict[str, Any]
  source: str = ""
  value: Any = None
  gradient: Any = None


def unsolved() -> list[Case]:
  """All cases, without their numbers."""
  rewards, answers = _rewards(), _answers()
  cases = [
    Case("group_advantages", name, {"rewards": rewards, "lengths": _lengths()}, options)
    for name, options in GROUPING.items()
  ]
  cases += [Case("policy_loss", name, answers, options) for name, options in LOSS.items()]
  pair = {key: answers[key] for key in ("logprobs", "ref_logprobs")}
  cases += [Case("kl_estimate", kind, pair, {"kind": kind}) for kind in ("k1", "k2", "k3")]
  cases.append(
    Case("overlong_penalty", "dapo", {"lengths": np.arange(0, 20)}, {"limit": 16, "buffer": 4})
  )
  kl = {"kl": np.abs(answers["ref_logprobs"] - answers["logprobs"]), "mask": answers["mask"]}
  cases.append(Case("answer_returns", "reinforce_pp", kl, {}))
  whiten = {"values": answers["logprobs"], "mask": answers["mask"]}
  cases.append(Case("normalized", "reinforce_pp", whiten, {"eps": 1e-6}))
  parts = np.stack([rewards, np.random.default_rng(2).normal(size=rewards.shape)])
  weights = np.array([1.0, 0.3])
  cases.append(Case("gdpo_advantages", "gdpo", {"parts": parts, "weights": weights}, {}))
  sources = [SOURCES.get((case.function, case.name), "") for case in cases]
  return [dataclasses.replace(c, source=s) for c, s in zip(cases, sources, strict=True)]


def _rewards() -> np.ndarray:
  """A spread, a tie, one answer of four right."""
  return np.array([[0.1, 0.9, 0.4, 0.4], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])


def _lengths() -> np.ndarray:
  return np.array([[1, 5, 3, 2], [4, 4, 1, 5], [0, 2, 5, 3]])


def _answers() -> dict[str, np.ndarray]:
  rng = np.random.default_rng(1)
  # Rounded, so that float32 and float64 see the same inputs to six digits.
  logprobs = -np.round(rng.exponential(1.0, (P, G, T)), 4)

  def near(width):
    return np.round(logprobs + rng.normal(size=(P, G, T)) * width, 4)

  return {
    "logprobs": logprobs,
    "old_logprobs": near(0.4),
    "advantages": np.round(rng.normal(size=(P, G)), 4),
    "mask": np.arange(T) < _lengths()[..., None],
    "ref_logprobs": near(0.5),
    "sampler_logprobs": near(0.4),
    "entropy": np.round(rng.exponential(1.0, (P, G, T)), 4),
    "finished": rng.random((P, G)) < 0.6,
    "kept": rng.random((P, G, T)) < 0.5,
    "length_budget": np.array(7),
  }
