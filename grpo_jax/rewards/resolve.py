"""From a reward's name to its function."""

import difflib
import functools
import hashlib
import importlib.util
import os
import sys
import types

from grpo_jax.config import ConfigError
from grpo_jax.rewards.arrays import ArrayReward, solution
from grpo_jax.rewards.assistant import gold, helpful, honest, safe
from grpo_jax.rewards.unit_tests import unit_tests
from grpo_jax.rewards.verifiers import REWARDS, Reward

_ASSISTANT = {"gold": gold, "helpful": helpful, "safe": safe, "honest": honest}
_KNOWN: dict[str, Reward | ArrayReward] = {
  **REWARDS,
  **_ASSISTANT,
  "unit_tests": unit_tests,
  "solution": solution,
}


def is_learned(name: str) -> bool:
  """Whether the name is of a reward model: "stage:NAME" of this run, or "model:FOLDER"."""
  return name.startswith(("stage:", "model:"))


@functools.cache
def resolve(name: str) -> Reward | ArrayReward:
  """A built-in reward by its name, or a function of one's own as "file.py:function".

  Raises:
    ConfigError: there is no such reward; names the nearest known one.
  """
  if name in _KNOWN:
    return _KNOWN[name]
  path, colon, function = name.rpartition(":")
  if not colon:
    near = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
      f"no reward is called {name!r}: {hint}known are {', '.join(_KNOWN)}, or 'file.py:function'"
    )
  found = getattr(_load(name, path), function, None)
  if not callable(found):
    raise ConfigError(f"reward {name!r}: {path} has no function {function!r}")
  return found


def _load(name: str, path: str) -> types.ModuleType:
  """The module in a file; loaded once, however many of its functions are rewards."""
  if not path.endswith(".py") or not os.path.isfile(path):
    raise ConfigError(
      f"reward {name!r}: there is no file {path}: expected a Python file ending in .py"
    )
  place = os.path.abspath(path)
  # The path is in the name: two files may have the same one, and processes must agree on it.
  module_name = "grpo_jax_reward_" + hashlib.sha256(place.encode()).hexdigest()[:12]
  if module_name in sys.modules:
    return sys.modules[module_name]
  spec = importlib.util.spec_from_file_location(module_name, place)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  sys.modules[module_name] = module  # dataclasses and pickle look for it there
  try:
    spec.loader.exec_module(module)
  except (Exception, SystemExit) as error:
    del sys.modules[module_name]
    said = " ".join(f"{type(error).__name__}: {error}".split())
    raise ConfigError(f"reward {name!r}: {path} fails on import: {said}") from error
  return module
