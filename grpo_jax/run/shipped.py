"""Experiment files that come with the package, by their names, from any folder."""

import os

import grpo_jax

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(grpo_jax.__file__)))
_WITHIN = "experiments/configs/"
# Beside the package, in a checkout as in site-packages: experiments is nothing to import from here.
FOLDER = os.path.join(_ROOT, *_WITHIN.split("/"))


def find(file: str) -> str:
  """The path of an experiment file: `file` itself if it exists, else the shipped one of that name.

  tiny_arithmetic, tiny_arithmetic.py and experiments/configs/tiny_arithmetic.py name the same one.
  What is neither is given back as it is.
  """
  name = file.removeprefix(_WITHIN).removesuffix(".py")
  if os.path.isfile(file) or name not in names():
    return file
  return os.path.join(FOLDER, f"{name}.py")


def names() -> list[str]:
  """The shipped experiments, sorted."""
  files = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
  return sorted(
    file.removesuffix(".py") for file in files if file.endswith(".py") and file != "__init__.py"
  )
