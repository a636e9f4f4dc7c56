"""reasoning-gym's scorers; loaded by worker processes, which have nothing else of the run."""

import contextlib
import functools
import math
import pickle
from collections.abc import Mapping
from typing import Any

import reasoning_gym

from grpo_jax.isolated.asked import GymAsked
from grpo_jax.isolated.found import answer_of
from grpo_jax.isolated.guard import guarded, is_plain

_LONGEST = 20_000


def score(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """What the task's own scorer gives, in [0, 1], of the last <answer> element, or else of all.

  The scorers know bare answers only: text about one makes it partly right at best.
  """
  asked = fields.get("gym")
  if not isinstance(asked, GymAsked):  # a data file may have a column of this name
    raise TypeError("the rewards 'gym' and 'gym_exact' are for tasks of config.Gym alone")
  answer = answer_of(completion, _LONGEST)
  if not answer or not is_plain(answer, _LONGEST):
    return 0.0
  data, entry = _data(asked.name, pickle.dumps(asked.fields)), pickle.loads(asked.entry)
  with contextlib.redirect_stdout(None), guarded():
    value = float(data.score_answer(answer, entry))
  return value if math.isnan(value) else min(max(value, 0.0), 1.0)


def exact(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where `score` is 1, else 0."""
  return float(score(prompt, completion, fields) >= 1)


@functools.cache
def _data(name: str, fields: bytes) -> Any:
  return reasoning_gym.create_dataset(name, seed=0, size=1, **pickle.loads(fields))
