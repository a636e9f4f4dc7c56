"""Functions in Python files, by path, and in modules that are imported, by name."""

import hashlib
import importlib.util
import os
import sys
import types


class LoadError(Exception):
  """A file that is not there, or fails as it is imported."""


def is_file(path: str) -> bool:
  """Whether a place is a Python file's, which any process can read, and not a module's."""
  return path.endswith(".py")


def load(path: str) -> types.ModuleType:
  """The module in a file; loaded once in a process, however many of its functions are used.

  A name without .py is of a module that is imported already, as "__main__" is in a notebook: only
  the process that has it can be asked.

  Raises:
    LoadError: one line.
  """
  if not is_file(path) and path in sys.modules:
    return sys.modules[path]
  if not is_file(path) or not os.path.isfile(path):
    raise LoadError(
      f"there is no file {path}: expected a Python file ending in .py (or a module that is"
      " imported, as __main__)"
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
    raise LoadError(f"{path} fails on import: {said}") from error
  return module
