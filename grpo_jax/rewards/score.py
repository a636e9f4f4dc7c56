"""Scores of a batch of answers: each reward by itself, and their weighted sum."""

import dataclasses
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from grpo_jax.rewards.resolve import resolve

_LOG = logging.getLogger(__name__)
_TRACEBACKS_SHOWN: set[str] = set()


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
) -> Scores:
  """Scores G completions to each of P prompts.

  A reward that raises leaves its answer unscored (NaN), and is logged once.

  Args:
    weights: of each reward, by its name.
    prompts, completions, fields: P questions, P lists of G answers, the task's fields.

  Raises:
    TypeError: a reward returned something that is no number, or an infinite one.
    RuntimeError: a reward raised on every answer.
  """
  parts, errors = {}, 0
  for name in weights:
    values, raised = _one_reward(name, prompts, completions, fields)
    parts[name], errors = values, errors + raised
  total = sum(np.float32(weight) * parts[name] for name, weight in weights.items())
  return Scores(np.asarray(total, np.float32), parts, errors)


def _one_reward(
  name: str, prompts: Sequence[str], completions: Sequence[Sequence[str]], fields: Sequence[Any]
) -> tuple[np.ndarray, int]:
  reward, raised, last = resolve(name), 0, None
  values = np.full((len(completions), len(completions[0])), np.nan, np.float32)
  for row, group in enumerate(completions):
    for column, text in enumerate(group):
      try:
        value = reward(prompts[row], text, fields[row])
      except Exception as error:
        raised, last = raised + 1, error
        _log_once(name, text)
        continue
      values[row, column] = _number(value, name, text)
  if last is not None and raised == values.size:
    kind = type(last).__name__
    raise RuntimeError(f"reward {name!r} raised on all {raised} answers: {kind}: {last}") from last
  return values, raised


def _number(value: Any, name: str, text: str) -> float:
  """The value of a score; a NaN says that the answer cannot be scored."""
  number_like = isinstance(value, (bool, int, float, np.bool_, np.number, jax.Array))
  if number_like and np.ndim(value) == 0 and not math.isinf(value):
    return float(value)
  raise TypeError(
    f"reward {name!r} returned {str(value)[:40]!r} ({type(value).__name__}) for {text[:60]!r}:"
    " expected a finite number, or NaN where it cannot score"
  )


def _log_once(name: str, text: str) -> None:
  if name not in _TRACEBACKS_SHOWN:
    _TRACEBACKS_SHOWN.add(name)
    _LOG.exception("reward %r raised, first on %r; such answers are left out", name, text[:60])
