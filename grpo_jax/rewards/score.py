"""Scores of a batch of answers: each reward by itself, and their weighted sum."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from grpo_jax.rewards.arrays import ArrayReward, Solutions
from grpo_jax.rewards.resolve import resolve
from grpo_jax.rewards.verifiers import Reward
from grpo_jax.types import Rollout

_LOG = logging.getLogger(__name__)
_TRACEBACKS_SHOWN: set[str] = set()
_LARGEST = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Scores:
  """total: f32[P,G], the weighted sum; NaN where any part is. parts: f32[P,G] by reward.

  errors: answers at which a reward raised.
  """

  total: np.ndarray
  parts: dict[str, np.ndarray]
  errors: int


def score(
  weights: Mapping[str, float],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Mapping[str, Any]],
  *,
  arrays: tuple[Rollout, Solutions] | None = None,
) -> Scores:
  """Scores G completions to each of P prompts.

  A reward that raises leaves its answer unscored (NaN), and is logged once.

  Args:
    weights: of each reward, by its name.
    prompts, completions, fields: P questions, P lists of G answers, the task's fields.
    arrays: the same as arrays, for rewards in JAX; needed where there is one.

  Raises:
    ValueError: the arguments do not fit one another.
    TypeError: a reward returned something that is no number, or an infinite one.
    RuntimeError: a reward raised on every answer.
  """
  _check_shapes(weights, prompts, completions, fields)
  parts, errors = {}, 0
  for name in weights:
    reward = resolve(name)
    if isinstance(reward, ArrayReward):
      assert arrays is not None, name
      parts[name] = _array_scores(name, reward, *arrays)
      continue
    parts[name], raised = _one_reward(name, reward, prompts, completions, fields)
    errors += raised
  total = sum(np.float32(weight) * parts[name] for name, weight in weights.items())
  return Scores(np.asarray(total, np.float32), parts, errors)


def _array_scores(
  name: str, reward: ArrayReward, rollout: Rollout, solutions: Solutions
) -> np.ndarray:
  values = np.asarray(_compiled(reward)(rollout, solutions))
  if np.isinf(values).any():
    raise TypeError(f"reward {name!r} gave an infinite score: expected finite ones, or NaN")
  return values


@functools.cache
def _compiled(reward: ArrayReward) -> Callable[[Rollout, Solutions], jax.Array]:
  return jax.jit(reward)


def _one_reward(
  name: str,
  reward: Reward,
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Any],
) -> tuple[np.ndarray, int]:
  raised = 0
  last: BaseException | None = None
  values = np.full((len(completions), len(completions[0])), np.nan, np.float32)
  for row, group in enumerate(completions):
    for column, text in enumerate(group):
      try:
        # A copy: what a reward does to the fields must not reach the task.
        value = reward(prompts[row], text, dict(fields[row]))
      except (Exception, SystemExit) as error:  # sys.exit() would end the run as if all were well
        raised, last = raised + 1, error
        _log_once(name, text)
        continue
      values[row, column] = _number(value, name, text)
  if last is not None and raised == values.size:
    said = f"{type(last).__name__}: {' '.join(str(last).split())[:200]}"
    raise RuntimeError(f"reward {name!r} raised on all {raised} answers: {said}") from last
  return values, raised


def _number(value: Any, name: str, text: str) -> float:
  """The value of a score; a NaN says that the answer cannot be scored."""
  numbers = (bool, int, float, np.bool_, np.integer, np.floating, jax.Array)
  if isinstance(value, numbers) and np.ndim(value) == 0:
    try:
      result = float(value)
    except (OverflowError, TypeError):  # an int beyond any float; a complex array
      result = math.inf
    # What float32 cannot hold would be infinite there.
    if math.isnan(result) or abs(result) <= _LARGEST:
      return result
  raise TypeError(
    f"reward {name!r} returned {_shown(value)} ({type(value).__name__}) for {text[:60]!r}:"
    " expected a finite number, or NaN where it cannot score"
  )


def _shown(value: Any) -> str:
  try:
    return " ".join(repr(value).split())[:40]
  except Exception:  # an object of the user's, or an int of more digits than Python shows
    return "something"


def _check_shapes(
  weights: Mapping[str, float],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Any],
) -> None:
  sizes = {len(group) for group in completions}
  fit = len(prompts) == len(completions) == len(fields) and len(sizes) == 1 and 0 not in sizes
  if not weights or not fit:
    raise ValueError(
      f"{len(weights)} rewards, {len(prompts)} prompts, {len(completions)} groups of"
      f" {sorted(sizes)} answers, {len(fields)} fields: expected at least one reward, one group"
      " and one dict of fields a prompt, and groups of one size"
    )


def _log_once(name: str, text: str) -> None:
  if name not in _TRACEBACKS_SHOWN:
    _TRACEBACKS_SHOWN.add(name)
    _LOG.exception("reward %r raised, first on %r; such answers are left out", name, text[:60])
