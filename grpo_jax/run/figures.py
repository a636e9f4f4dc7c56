"""The figures of a rollout and of the machine, and samples as records."""

import resource
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from grpo_jax.rewards import Scores
from grpo_jax.tasks import Example
from grpo_jax.types import Rollout


def rollout_figures(rollout: Rollout, scores: Scores, advantages: np.ndarray) -> dict[str, float]:
  """Rewards, lengths, entropy and signal of one rollout.

  reward/mean, reward/std and reward/NAME are over the answers that could be scored;
  reward/unscored is the share that could not. length/truncated is the share cut by the budget.
  groups/no_signal is the share of groups whose advantages are all 0. policy/entropy is the mean of
  -log p over sampled tokens: an unbiased estimate of the entropy of the sampled distribution, nats.
  """
  mask, logprobs = np.asarray(rollout.mask), np.asarray(rollout.logprobs)
  lengths = mask.sum(axis=-1)
  figures = {
    "reward/mean": _nanmean(scores.total),
    # Not from the mean square: rounding can leave that below the square of the mean.
    "reward/std": _nanmean((scores.total - _nanmean(scores.total)) ** 2) ** 0.5,
    "reward/unscored": float(np.isnan(scores.total).mean()),
    "length/mean": float(lengths.mean()),
    "length/max": float(lengths.max()),
    "length/truncated": 1.0 - float(np.asarray(rollout.finished).mean()),
    "groups/no_signal": float((advantages == 0).all(axis=-1).mean()),
    "policy/entropy": -float(logprobs[mask].mean()),
  }
  return figures | {f"reward/{name}": _nanmean(part) for name, part in scores.parts.items()}


def sample_records(
  examples: Sequence[Example], texts: list[list[str]], scores: Scores, advantages: np.ndarray
) -> list[dict[str, Any]]:
  """One record a prompt: the question, its answers, their rewards and advantages."""
  return [
    {
      "prompt": str(example.messages[-1]["content"]),
      "answer": example.fields.get("answer"),
      "completions": texts[row],
      "rewards": scores.total[row].tolist(),
      "advantages": advantages[row].tolist(),
    }
    for row, example in enumerate(examples)
  ]


def memory_figures() -> dict[str, float]:
  """memory/peak_gb, the most so far, 1e9 bytes: of a device that counts, else of this process."""
  stats = jax.local_devices()[0].memory_stats()
  if stats and "peak_bytes_in_use" in stats:
    return {"memory/peak_gb": stats["peak_bytes_in_use"] / 1e9}
  unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
  return {"memory/peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}


def _nanmean(values: np.ndarray) -> float:
  with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # an empty mean is NaN, and that is meant
    return float(np.nanmean(values))
