"""From a reward's name to its function."""

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.isolated.files import LoadError, load
from grpo_jax.rewards.arrays import ArrayReward, solution
from grpo_jax.rewards.assistant import gold, helpful, honest, safe
from grpo_jax.rewards.choice import choice
from grpo_jax.rewards.countdown import countdown
from grpo_jax.rewards.isolated import ISOLATED, Isolated
from grpo_jax.rewards.unit_tests import unit_tests
from grpo_jax.rewards.verifiers import REWARDS, Reward

# Stands for the reward that each example's own task names.
TASK = "task"


def stands_for(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """Never called: `score` calls the reward that the task names."""
  raise ConfigError(f"reward {TASK!r} stands for that of each prompt's task, and is none itself")


_ASSISTANT = {"gold": gold, "helpful": helpful, "safe": safe, "honest": honest}
_KNOWN: dict[str, Reward | ArrayReward] = {
  **REWARDS,
  **_ASSISTANT,
  "unit_tests": unit_tests,
  "solution": solution,
  "choice": choice,
  "countdown": countdown,
  **ISOLATED,
  TASK: stands_for,
}


# What an environment gives to an episode, where the task is one.
EPISODE = "episode"


def is_learned(name: str) -> bool:
  """Whether the name is of a reward model: "stage:NAME" of this run, or "model:FOLDER"."""
  return name.startswith(("stage:", "model:"))


def is_ruled(name: str) -> bool:
  """Whether the name is of a function, which `resolve` finds."""
  return not is_learned(name) and name != EPISODE


def resolve(name: str) -> Reward | ArrayReward:
  """A built-in reward by its name, or a function of one's own as "file.py:function".

  "module:function" is one of a module that is imported, as `reward_name` says it of a notebook's.

  Raises:
    ConfigError: there is no such reward, and names the nearest known one; or its library is not
      installed.
  """
  if name in _KNOWN:
    found = _KNOWN[name]
    if isinstance(found, Isolated):
      found.check()
    return found
  path, colon, function = name.rpartition(":")
  if not colon:
    near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
      f"no reward is called {name!r}: {hint}known are {', '.join(_KNOWN)}, or 'file.py:function'"
    )
  try:
    own = getattr(load(path), function, None)
  except LoadError as error:
    raise ConfigError(f"reward {name!r}: {error}") from error
  if not callable(own):
    raise ConfigError(f"reward {name!r}: {path} has no function {function!r}")
  if not isinstance(own, ArrayReward):
    _check_signature(name, own)
  return own


def _check_signature(name: str, own: Callable[..., Any]) -> None:
  """Refuses what cannot be called as a reward of texts, before hours of an earlier stage."""
  try:
    inspect.signature(own).bind("prompt", "completion", {})
  except TypeError as error:
    raise ConfigError(
      f"reward {name!r}: it is called as (prompt, completion, fields): {error}"
    ) from error
  except ValueError:
    pass  # of a built-in nothing is known


def reward_name(function: Reward | ArrayReward) -> str:
  """What a config calls a function of a notebook or an imported module: "__main__:mine".

  It is looked up by this name when it is called, in the run's own process.

  Raises:
    ConfigError: it does not stand at the top level of its module under its own name, as a lambda
      or what another function has made: neither could be found again by a resumed run.
  """
  own: Any = function.function if isinstance(function, ArrayReward) else function
  module, name = getattr(own, "__module__", ""), getattr(own, "__qualname__", "")
  if getattr(sys.modules.get(module), name, None) is not function:
    raise ConfigError(
      f"{name or own!r} is not to be found by this name in {module or 'any module'}: a reward is"
      " a function at the top level; for another give it a name there and write"
      f" '{module or '__main__'}:NAME'"
    )
  return f"{module}:{name}"
