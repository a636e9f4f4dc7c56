"""What answers to held-out problems say of a policy, and how sure it is: NumPy, float64.

N problems, each with n sampled answers of which c are right. All figures are means over problems,
so that an interval has to treat the answers of one problem as what they are: not independent.
"""

import collections
import math
from collections.abc import Hashable, Sequence

import numpy as np

REPLICATES = 10_000
_PART = 500  # replicates that are drawn at a time


def wilson(share: float, count: float) -> tuple[float, float]:
  """The 95 % interval of a share of `count` independent trials: Wilson 1927.

  Raises:
    ValueError: the share is not in [0, 1], or there are no trials.
  """
  if not (0 <= share <= 1 and count > 0):
    raise ValueError(f"a share in [0, 1] of some trials is wanted, not {share} of {count}")
  z = 1.96
  middle = (share + z * z / (2 * count)) / (1 + z * z / count)
  half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
  return max(middle - half, 0.0), min(middle + half, 1.0)  # beyond by rounding alone


def pass_at_k(n: int, right: np.ndarray, k: int) -> np.ndarray:
  """The chance that of k answers at least one is right, unbiased: Chen et al. 2021, eq. 1.

  1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n-c+1}^{n} (1 - k / i), which no binomial overflows.

  Args:
    n: answers to each problem.
    right: i64[N], how many of them are right, in [0, n].
    k: in [1, n].

  Returns:
    f64[N].

  Raises:
    ValueError: an argument is out of its range.
  """
  right = np.asarray(right)
  if not 1 <= k <= n:
    raise ValueError(f"pass@{k} of {n} answers: k must be from 1 to {n}")
  if right.size and not (right.min() >= 0 and right.max() <= n):
    raise ValueError(f"right answers must be from 0 to n={n}")
  # Entry c is the product down to i = n - c + 1; below k wrong answers every k have a right one.
  factors = np.maximum(1 - k / np.arange(n, 0, -1), 0.0)
  return 1 - np.concatenate([[1.0], np.cumprod(factors)])[right]


def majority(answers: Sequence[Hashable | None], right: Sequence[bool]) -> float:
  """Whether the answer that is given most often is right: Wang et al. 2023 (self-consistency).

  None is no answer, and does not vote; where nobody votes it is wrong. Of equally many votes each
  answer counts for its share, so that the order does not matter.

  Args:
    answers: final answers to one problem. right: whether each was judged right.

  Returns:
    In [0, 1].
  """
  votes = collections.Counter(answer for answer in answers if answer is not None)
  if not votes:
    return 0.0
  most = max(votes.values())
  winners = [answer for answer, count in votes.items() if count == most]
  shares = [
    np.mean([good for answer, good in zip(answers, right, strict=True) if answer == winner])
    for winner in winners
  ]
  return float(np.mean(shares))


def majority_at_k(answers: Sequence[Hashable | None], right: Sequence[bool], k: int) -> float:
  """The mean of `majority` over the n // k groups of k answers that follow one another.

  Groups share no answer, so the mean is unbiased; with k = n it is the vote of all.

  Raises:
    ValueError: k is not from 1 to n.
  """
  n = len(answers)
  if not 1 <= k <= n:
    raise ValueError(f"maj@{k} of {n} answers: k must be from 1 to {n}")
  starts = range(0, n - k + 1, k)
  return float(np.mean([majority(answers[s : s + k], right[s : s + k]) for s in starts]))


def bootstrap(values: np.ndarray, seed: int, replicates: int = REPLICATES) -> np.ndarray:
  """The 95 % intervals of means over problems, by drawing problems anew (Efron 1979, percentiles).

  A problem is drawn with all its answers: that is the bootstrap over clusters, and holds for any
  figure that is a mean of one value a problem. Where all values are equal it has no width.

  Args:
    values: f64[F,N], a value of each of F figures for each problem.
    seed: of the draws. replicates: how many.

  Returns:
    f64[F,2], where each interval begins and ends.
  """
  values, generator = np.asarray(values, np.float64), np.random.default_rng(seed)
  F, N = values.shape
  means = np.empty((replicates, F))
  for start in range(0, replicates, _PART):
    count = min(_PART, replicates - start)
    # How often each problem is drawn.
    drawn = generator.multinomial(N, np.full(N, 1 / N), size=count)
    means[start : start + count] = drawn @ values.T / N
  return np.quantile(means, (0.025, 0.975), axis=0).T
