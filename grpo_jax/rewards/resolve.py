"""From a reward's name to its function."""

import difflib
import functools
import importlib.util
import os

from grpo_jax.config import ConfigError
from grpo_jax.rewards.verifiers import REWARDS, Reward


@functools.cache
def resolve(name: str) -> Reward:
  """A built-in reward by its name, or a function of one's own as "file.py:function".

  Raises:
    ConfigError: there is no such reward; names the nearest known one.
  """
  if name in REWARDS:
    return REWARDS[name]
  path, colon, function = name.rpartition(":")
  if not colon:
    near = difflib.get_close_matches(name, REWARDS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(
      f"no reward is called {name!r}: {hint}known are {', '.join(REWARDS)}, or 'file.py:function'"
    )
  if not os.path.isfile(path):
    raise ConfigError(f"reward {name!r}: there is no file {path}")
  spec = importlib.util.spec_from_file_location(f"reward_{abs(hash(path))}", path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    raise ConfigError(f"reward {name!r}: {path} fails on import: {error}") from error
  if not callable(getattr(module, function, None)):
    raise ConfigError(f"reward {name!r}: {path} has no function {function!r}")
  return getattr(module, function)
