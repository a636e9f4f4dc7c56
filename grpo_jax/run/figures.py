"""The figures of a rollout and of the machine."""

import itertools
import resource
import sys
import warnings

import jax
import numpy as np

from grpo_jax.rewards import Scores
from grpo_jax.run.answers import Answers
from grpo_jax.run.episodes import Episodes


def answer_figures(answers: Answers) -> dict[str, float]:
  """Rewards, lengths and entropy of all answers of a step, before any is left out.

  reward/mean, reward/std and reward/NAME are over the answers that could be scored;
  reward/unscored is the share that could not, reward/failed/KIND the share at which a reward failed
  so. length/truncated is the share cut by the budget.
  policy/entropy is the mean of -log p over sampled tokens: an unbiased estimate of the entropy of
  the sampled distribution, nats. Of several rewards see `reward_figures`.
  """
  rollout, scores = answers.rollout, answers.scores
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
    "policy/entropy": -float(logprobs[mask].mean()),
  }
  failed = {
    f"reward/failed/{kind}": n / mask.shape[0] / mask.shape[1]
    for kind, n in scores.failures.items()
  }
  return figures | failed | reward_figures(scores) | episode_figures(answers.episodes)


def episode_figures(episodes: Episodes | None) -> dict[str, float]:
  """episode/turns: the mean number that the model took. episode/cut: share of observations cut."""
  if episodes is None:
    return {}
  # Between any two turns of the model stands one observation.
  heard = max(int((episodes.turns - 1).sum()), 1)
  return {
    "episode/turns": float(episodes.turns.mean()),
    "episode/cut": float(episodes.cut.sum()) / heard,
  }


def reward_figures(scores: Scores) -> dict[str, float]:
  """Each reward by itself, and how several go together.

  reward/NAME: the mean as it was scored. With several also reward/NAME/weighted, the mean of what
  it adds to the sum, and reward/correlation/A/B, Pearson's over the answers that both have scored;
  NaN where one of them is constant.
  """
  figures = {f"reward/{name}": _nanmean(part) for name, part in scores.parts.items()}
  if len(scores.parts) == 1:
    return figures
  for name, weight, counted in zip(scores.parts, scores.weights, scores.counted, strict=True):
    figures[f"reward/{name}/weighted"] = _nanmean(weight * counted)
  for (one, left), (two, right) in itertools.combinations(scores.parts.items(), 2):
    figures[f"reward/correlation/{one}/{two}"] = correlation(left, right)
  return figures


def correlation(left: np.ndarray, right: np.ndarray) -> float:
  """Pearson's correlation where neither is NaN; NaN where one of them is constant."""
  both = ~np.isnan(left) & ~np.isnan(right)
  x, y = (values[both].astype(np.float64) for values in (left, right))
  if not both.any() or np.ptp(x) == 0 or np.ptp(y) == 0:
    return float("nan")
  return float(np.corrcoef(x, y)[0, 1])


def group_figures(answers: Answers, rows: np.ndarray, *, gdpo: bool = False) -> dict[str, float]:
  """What groups are worth.

  groups/no_signal: share of sampled groups without signal, see `Answers.signal`. groups/all_right,
  all_wrong: whose rewards are all 1 or more, all 0 or less. groups/sampled: how many there were.
  groups/unused: share of sampled groups that are not in the update's batch, `rows`.
  """
  total, signal = answers.scores.total, answers.signal(gdpo=gdpo)
  return {
    "groups/no_signal": float(1 - signal.mean()),
    "groups/all_right": float((total >= 1).all(axis=-1).mean()),
    "groups/all_wrong": float((total <= 0).all(axis=-1).mean()),
    "groups/sampled": float(len(total)),
    "groups/unused": 1 - len(rows) / len(total),
  }


def time_figures(answers: Answers, used: Answers, seconds: np.ndarray) -> dict[str, float]:
  """Where a step's time went.

  time/rollout_s, reward_s, update_s, step_s: seconds of sampling, of scoring, of all the rest, of
  the whole. time/PHASE_share: of the whole. time/tokens_per_s: sampled tokens by the whole;
  time/rollout_tokens_per_s: by sampling; time/update_tokens_per_s: tokens learned from by the rest.

  Args:
    answers, used: all of the step, and those of the update.
    seconds: f64[3], what sampling, scoring and the whole step took.
  """
  rollout, reward, step = seconds.tolist()
  update = step - rollout - reward
  sampled, learned = (float(np.sum(part.rollout.mask)) for part in (answers, used))
  shares = {"rollout": rollout, "reward": reward, "update": update}
  return {
    **{f"time/{phase}_s": taken for phase, taken in shares.items()},
    **{f"time/{phase}_share": taken / step for phase, taken in shares.items()},
    "time/step_s": step,
    "time/tokens_per_s": sampled / step,
    "time/rollout_tokens_per_s": sampled / rollout,
    "time/update_tokens_per_s": learned / update,
  }


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
