"""Our losses against TRL's own, on the same log-probs, rewards and masks.

make agreement, or:
TRL_PYTHON=.venv-trl/bin/python python -m benchmarks.trl_agreement

Prints, for each loss that both have, the largest difference of advantages, of the loss and of its
gradient by log-prob; exits with 1 where one is 1e-5 or more. Every answer has a token here: TRL
counts an answer without any in its means (as 0), and we do not.
"""

import json
import os
import subprocess
import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax import config
from grpo_jax.grouping import group_advantages
from grpo_jax.losses import policy_loss
from grpo_jax.run.learn import highest
from grpo_jax.shaping import gdpo_advantages

P, G, T = 4, 6, 12
BOUND = 1e-5
WEIGHTS = [1.0, 0.3]
_TRL = {"ddof": 1, "eps": 1e-4}
_GSPO = {"objective": "gspo", "clip_low": 0.03, "clip_high": 0.04}
_SEQUENCE = {"importance_sampling_level": "sequence", "epsilon_low": 0.03, "epsilon_high": 0.04}

# name: (TRL's trainer fields, its scale_rewards, our LossConfig fields)
CASES = {
  "grpo": ({"loss_type": "grpo"}, "group", {}),
  "grpo, batch std": ({"loss_type": "grpo"}, "batch", {}),
  "bnpo": ({"loss_type": "bnpo"}, "group", {"aggregation": "token_mean"}),
  "dapo": (
    {"loss_type": "dapo", "epsilon_high": 0.28},
    "group",
    {"aggregation": "token_mean", "clip_high": 0.28},
  ),
  "dr_grpo": ({"loss_type": "dr_grpo"}, "none", {"aggregation": "constant"}),
  "cispo": (
    {"loss_type": "cispo", "epsilon_high": 1.2},
    "group",
    {"objective": "cispo", "ratio_cap": 1.2, "aggregation": "token_mean"},
  ),
  "sapo": ({"loss_type": "sapo"}, "group", {"objective": "sapo"}),
  "gspo": ({"loss_type": "grpo", **_SEQUENCE}, "group", _GSPO),
  "luspo": (
    {"loss_type": "luspo", **_SEQUENCE},
    "group",
    {**_GSPO, "aggregation": "sequence_sum"},
  ),
  "gdpo": ({"loss_type": "grpo"}, "normalize_then_sum", {}),
  "delta": ({"loss_type": "grpo", "delta": 1.3}, "group", {"dual_clip": 1.3}),
  "beta": ({"loss_type": "grpo", "beta": 0.3}, "group", {"kl_coefficient": 0.3}),
  "beta, unbiased": (
    {"loss_type": "grpo", "beta": 0.3, "use_bias_correction_kl": True},
    "group",
    {"kl_coefficient": 0.3, "kl_unbiased": True},
  ),
  "top entropy": (
    {"loss_type": "grpo", "top_entropy_quantile": 0.2},
    "group",
    {"entropy_top": 0.2},
  ),
}


def inputs() -> dict[str, np.ndarray]:
  """Ratios on both sides of the bounds, answers of 1 to T tokens, rewards that differ."""
  rng = np.random.default_rng(0)
  logprobs = -rng.exponential(1.0, (P, G, T))
  lengths = rng.integers(1, T + 1, (P, G))
  near = lambda: logprobs + rng.normal(size=(P, G, T)) * 0.3  # noqa: E731
  given = {
    "rewards": rng.normal(size=(P, G)),
    "second": rng.random((P, G)),
    "reward_weights": np.array(WEIGHTS),
    "logprobs": logprobs,
    "old": near(),
    "ref": near(),
    "entropy": rng.exponential(1.0, (P, G, T)),
  }
  given = {name: array.astype(np.float32) for name, array in given.items()}
  return given | {"mask": np.arange(T) < lengths[..., None]}


def ours(given: dict, scale: str, fields: dict) -> dict[str, np.ndarray]:
  """What `trl_losses` computes, by grpo_jax."""
  settings = config.LossConfig(**fields)
  config.check(settings)
  rewards, mask = jnp.asarray(given["rewards"]), jnp.asarray(given["mask"])
  if scale == "normalize_then_sum":
    parts = jnp.stack([rewards, jnp.asarray(given["second"])])
    advantages = gdpo_advantages(parts, jnp.array(WEIGHTS), **_TRL)
  else:
    named = {"group": "group_std", "batch": "batch_reward_std", "none": "none"}[scale]
    advantages = group_advantages(rewards, scale=named, **_TRL)
  kept = highest(given["entropy"], given["mask"], settings.entropy_top)

  def loss(logprobs):
    return policy_loss(
      logprobs,
      jnp.asarray(given["old"]),
      advantages,
      mask,
      settings,
      ref_logprobs=jnp.asarray(given["ref"]),
      kept=jnp.asarray(kept),
    )[0]

  value, slope = jax.value_and_grad(loss)(jnp.asarray(given["logprobs"]))
  return {"advantages": advantages, "loss": value, "gradient": slope}


def theirs(given: dict) -> dict[str, np.ndarray]:
  """The same by TRL, in its own environment."""
  python = os.environ.get("TRL_PYTHON")
  if not python:
    raise SystemExit("TRL_PYTHON names a Python that has trl and torch: make agreement")
  script = os.path.join(os.path.dirname(__file__), "trl_losses.py")
  with tempfile.TemporaryDirectory() as folder:
    paths = [os.path.join(folder, name) for name in ("in.npz", "jobs.json", "out.npz")]
    np.savez(paths[0], **given)
    jobs = {name: {"trainer": t, "scale_rewards": scale} for name, (t, scale, _) in CASES.items()}
    with open(paths[1], "w", encoding="utf-8") as file:
      json.dump(jobs, file)
    subprocess.run([python, script, *paths], check=True)
    return dict(np.load(paths[2]))


def main() -> int:
  """Prints the table; 1 where something differs."""
  given = inputs()
  expected = theirs(given)
  print(f"largest difference from TRL {expected['version']}, float32")
  print(f"{'loss':<16} {'advantages':>12} {'loss':>12} {'gradient':>12}")
  worst = 0.0
  for name, (_, scale, fields) in CASES.items():
    found = ours(given, scale, fields)
    gaps = [float(np.abs(found[key] - expected[f"{name}/{key}"]).max()) for key in found]
    worst = max(worst, *gaps)
    print(f"{name:<16} " + " ".join(f"{gap:12.1e}" for gap in gaps))
  print(f"{'largest':<16} {worst:12.1e}  {'agrees' if worst < BOUND else 'DIFFERS'}")
  return int(worst >= BOUND)


if __name__ == "__main__":
  sys.exit(main())
