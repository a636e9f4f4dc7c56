"""Scores of a batch of answers: each reward by itself, and their weighted sum."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import Term, as_terms
from grpo_jax.isolated.pool import Workers
from grpo_jax.rewards.arrays import ArrayReward, Solutions
from grpo_jax.rewards.calls import KINDS, call_reward
from grpo_jax.rewards.compose import compose
from grpo_jax.rewards.resolve import TASK, resolve
from grpo_jax.types import Rollout

# A batch of answers as arrays -> f32[P,G].
LearnedReward = Callable[[Rollout], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Scores:
  """Rewards of P groups of G answers.

  total: f32[P,G], the weighted sum; NaN where any counted part is.
  parts: raw f32[P,G] by reward.
  counted, weights: f32[R,P,G] and f32[R], see `compose`.
  failures: answers at which a reward failed, by kind, see `calls.KINDS`.
  """

  total: np.ndarray
  parts: dict[str, np.ndarray]
  counted: np.ndarray
  weights: np.ndarray
  failures: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(KINDS, 0))


def score(
  rewards: Mapping[str, float | Term],
  prompts: Sequence[str],
  completions: Sequence[Sequence[str]],
  fields: Sequence[Mapping[str, Any]],
  *,
  step: int = 0,
  arrays: tuple[Rollout, Solutions | None] | None = None,
  models: Mapping[str, LearnedReward] | None = None,
  given: Mapping[str, np.ndarray] | None = None,
  workers: Workers | None = None,
  max_failed: float = 1.0,
  pause: Callable[[], None] = lambda: None,
  own: Sequence[str] = (),
) -> Scores:
  """Scores G completions to each of P prompts.

  A reward that fails leaves its answer unscored (NaN), and is logged once. Of several processes
  each scores a part of the prompts, whose texts alone it needs, and all get the whole.

  Args:
    rewards: the weight or the Term of each, by its name.
    prompts, completions, fields: P questions, P lists of G answers, the task's fields.
    step: of the stage, which weights may depend on.
    arrays: the same as arrays, for rewards in JAX and learned ones; needed where there is one.
    models: learned rewards by name.
    given: scores f32[P,G] that are known already, by name.
    workers: processes that call rewards of files; None calls them here.
    max_failed: share of the answers at which each reward may fail, in [0, 1].
    pause: called between answers; what it raises ends the scoring.
    own: P names of rewards of which "task" is each prompt's own; needed where that is asked for.

  Raises:
    ValueError: the arguments do not fit one another.
    TypeError: a reward in JAX gave an infinite score.
    RuntimeError: a reward failed on every answer, or on more than may fail.
  """
  _check_shapes(rewards, prompts, completions, fields)
  if TASK in rewards and len(own) != len(prompts):
    raise ValueError(f"reward {TASK!r} needs the reward of each of {len(prompts)} prompts in `own`")
  parts, failures = {}, dict.fromkeys(KINDS, 0)
  for name in rewards:
    if given and name in given:
      parts[name] = _finite(name, given[name])
      continue
    if models and name in models:
      assert arrays is not None, name
      parts[name] = _finite(name, models[name](arrays[0]))
      continue
    reward = resolve(name)
    if isinstance(reward, ArrayReward):
      assert arrays is not None, name
      parts[name] = _finite(name, _compiled(reward)(arrays[0], arrays[1]))  # type: ignore[arg-type]
      continue
    asked = (prompts, completions, fields)
    names = own if name == TASK else [name] * len(prompts)
    parts[name], failed = call_reward(
      *(name, names, *asked), workers=workers, max_failed=max_failed, pause=pause
    )
    failures = {kind: failures[kind] + failed[kind] for kind in KINDS}
  raw = jnp.asarray(np.stack(list(parts.values())))
  whole = compose(raw, as_terms(dict(rewards)), step)
  total, counted, weights = map(np.asarray, whole)
  return Scores(total, parts, counted, weights, failures)


def _finite(name: str, scores: jax.Array | np.ndarray) -> np.ndarray:
  values = np.asarray(scores, np.float32)
  if np.isinf(values).any():
    raise TypeError(f"reward {name!r} gave an infinite score: expected finite ones, or NaN")
  return values


@functools.cache
def _compiled(reward: ArrayReward) -> Callable[[Rollout, Solutions], jax.Array]:
  return jax.jit(reward)


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
