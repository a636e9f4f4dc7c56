"""What a sweep needs beside the core, imported where it is used."""

import contextlib
from collections.abc import Iterator
from typing import Any

from grpo_jax.config import ConfigError


@contextlib.contextmanager
def extra(packages: str) -> Iterator[None]:
  """Turns a failed import into one line that says what to install."""
  try:
    yield
  except ImportError as error:
    raise ConfigError(f"a sweep needs {packages}: pip install 'grpo_jax[sweep]'") from error


def quiet_optuna() -> Any:
  """The module; it says errors only, for the sweep has its own lines."""
  with extra("optuna"):
    import optuna
  optuna.logging.set_verbosity(optuna.logging.ERROR)
  return optuna
