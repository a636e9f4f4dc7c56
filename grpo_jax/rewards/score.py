"""Scores of a batch of answers: each reward by itself, and their weighted sum."""

import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import Term, as_terms
from grpo_jax.parallel import processes
from grpo_jax.rewards.arrays import ArrayReward, Solutions
from grpo_jax.rewards.compose import compose
from grpo_jax.rewards.resolve import resolve
from grpo_jax.rewards.verifiers import Reward
from grpo_jax.types import Rollout

_LOG = logging.getLogger(__name__)
_TRACEBACKS_SHOWN: set[str] = set()
# A batch of answers as arrays -> f32[P,G].
LearnedReward = Callable[[Rollout], np.ndarray]
_LARGEST = float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class Scores:
  """Rewards of P groups of G answers.

  total: f32[P,G], the weighted sum; NaN where any counted part is.
  parts: raw f32[P,G] by reward.
  counted, weights: f32[R,P,G] and f32[R], see `compose`.
  errors: answers at which a reward raised.
  """

  total: np.ndarray
  parts: dict[str, np.ndarray]
  counted: np.ndarray
  weights: np.ndarray
  errors: int


def score(
  rewards: Mapping[str, float | Term],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Mapping[str, Any]],
  *,
  step: int = 0,
  arrays: tuple[Rollout, Solutions | None] | None = None,
  models: Mapping[str, LearnedReward] | None = None,
) -> Scores:
  """Scores G completions to each of P prompts.

  A reward that raises leaves its answer unscored (NaN), and is logged once. Of several processes
  each scores a part of the prompts, whose texts alone it needs, and all get the whole.

  Args:
    rewards: the weight or the Term of each, by its name.
    prompts, completions, fields: P questions, P lists of G answers, the task's fields.
    step: of the stage, which weights may depend on.
    arrays: the same as arrays, for rewards in JAX and learned ones; needed where there is one.
    models: learned rewards by name.

  Raises:
    ValueError: the arguments do not fit one another.
    TypeError: a reward returned something that is no number, or an infinite one.
    RuntimeError: a reward raised on every answer.
  """
  _check_shapes(rewards, prompts, completions, fields)
  parts, errors = {}, 0
  for name in rewards:
    if models and name in models:
      assert arrays is not None, name
      parts[name] = _finite(name, models[name](arrays[0]))
      continue
    reward = resolve(name)
    if isinstance(reward, ArrayReward):
      assert arrays is not None, name
      parts[name] = _finite(name, _compiled(reward)(arrays[0], arrays[1]))  # type: ignore[arg-type]
      continue
    parts[name], raised = _one_reward(name, reward, prompts, completions, fields)
    errors += raised
  raw = jnp.asarray(np.stack(list(parts.values())))
  whole = compose(raw, as_terms(dict(rewards)), step)
  total, counted, weights = map(np.asarray, whole)
  return Scores(total, parts, counted, weights, errors)


def _finite(name: str, scores: jax.Array | np.ndarray) -> np.ndarray:
  values = np.asarray(scores, np.float32)
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
  last: BaseException | None = None

  def scored(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """The values of these prompts' answers, and at which the reward raised."""
    nonlocal last
    groups = completions[rows]
    values = np.full((len(groups), len(completions[0])), np.nan, np.float32)
    raised = np.zeros(values.shape, bool)
    for row, group in enumerate(groups):
      for column, text in enumerate(group):
        at = rows.start + row
        try:
          # A copy: what a reward does to the fields must not reach the task.
          value = reward(prompts[at], text, dict(fields[at]))
        except (Exception, SystemExit) as error:  # sys.exit() would end the run as if all were well
          raised[row, column], last = True, error
          _log_once(name, text)
          continue
        values[row, column] = _number(value, name, text)
    return values, raised

  values, raised = processes.shared(scored, len(completions))
  if raised.all():
    said = f"{type(last).__name__}: {' '.join(str(last).split())[:200]}" if last else "elsewhere"
    raise RuntimeError(f"reward {name!r} raised on all {raised.size} answers: {said}") from last
  return values, int(raised.sum())


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
  rewards: Mapping[str, float | Term],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Any],
) -> None:
  sizes = {len(group) for group in completions}
  fit = len(prompts) == len(completions) == len(fields) and len(sizes) == 1 and 0 not in sizes
  if not rewards or not fit:
    raise ValueError(
      f"{len(rewards)} rewards, {len(prompts)} prompts, {len(completions)} groups of"
      f" {sorted(sizes)} answers, {len(fields)} fields: expected at least one reward, one group"
      " and one dict of fields a prompt, and groups of one size"
    )


def _log_once(name: str, text: str) -> None:
  if name not in _TRACEBACKS_SHOWN:
    _TRACEBACKS_SHOWN.add(name)
    _LOG.exception("reward %r raised, first on %r; such answers are left out", name, text[:60])
