"""What a reward model is worth on held-out pairs."""

import numpy as np

from grpo_jax.run.figures import correlation

_BINS = 10
JUDGED = tuple(
  f"eval/reward_{name}"
  for name in (
    *("accuracy", "margin", "loss", "calibration", "length_bias"),
    *("accuracy_shorter", "accuracy_longer"),
  )
)


def judged(scores: np.ndarray, lengths: np.ndarray) -> dict[str, float]:
  """The figures of held-out pairs.

  eval/reward_accuracy: share of pairs whose preferred answer scores higher.
  eval/reward_margin: mean difference of the two. eval/reward_loss: mean of -log sigmoid(margin).
  eval/reward_calibration: expected calibration error, sum_b |b| / N |accuracy_b - confidence_b|,
    over ten bins b of confidence sigmoid(|margin|) from 0.5 to 1 (Guo et al. 2017, eq. 3).
  eval/reward_length_bias: Pearson's correlation of score and length over all answers; NaN where
    one is constant.
  eval/reward_accuracy_shorter, _longer: accuracy where the preferred answer is the shorter, the
    longer: a model that counts tokens is right in one of them alone.

  Args:
    scores: f32[N,2], the preferred answer first. lengths: i64[N,2], tokens.
  """
  margin = (scores[:, 0] - scores[:, 1]).astype(np.float64)
  right, confidence = margin > 0, 1 / (1 + np.exp(-np.abs(margin)))
  bins = np.minimum(((confidence - 0.5) * 2 * _BINS).astype(int), _BINS - 1)
  error = [
    (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
    for b in np.unique(bins)
  ]
  figures = {
    "eval/reward_accuracy": float(right.mean()),
    "eval/reward_margin": float(margin.mean()),
    "eval/reward_loss": float(np.logaddexp(0, -margin).mean()),
    "eval/reward_calibration": float(sum(error)),
    "eval/reward_length_bias": correlation(scores.ravel(), lengths.ravel().astype(np.float32)),
  }
  shorter = lengths[:, 0] < lengths[:, 1]
  for name, rows in (("shorter", shorter), ("longer", lengths[:, 0] > lengths[:, 1])):
    figures[f"eval/reward_accuracy_{name}"] = float(right[rows].mean()) if rows.any() else np.nan
  return figures
