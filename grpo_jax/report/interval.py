"""How sure a mean over seeds is."""

import math
import statistics
from collections.abc import Sequence

from grpo_jax.report.extra import load


def half_width(values: Sequence[float]) -> float | None:
  """Half of the 95 % interval of the mean, by Student's t; None for fewer than two values."""
  if len(values) < 2:
    return None
  quantile = load("scipy.stats", "an interval").t.ppf(0.975, len(values) - 1)
  return float(quantile) * statistics.stdev(values) / math.sqrt(len(values))
