"""Functions in Python files, by path."""

import hashlib
import importlib.util
import os
import sys
import types


class LoadError(Exception):
  """A file that is not there, or fails as it is imported."""


def load(path: str) -> types.ModuleType:
  """The module in a file; loaded once in a process, however many of its functions are used.

  Raises:
    LoadError: one line.
  """
  if not path.endswith(".py") or not os.path.isfile(path):
    raise LoadError(f"there is no file {path}: expected a Python file ending in .py")
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
    raise LoadError(f"{path} fails on import: {said}") from error
  return module
