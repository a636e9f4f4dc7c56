"""What only a sweep needs is imported where it is used, and is one line where it is missing."""

import importlib
from typing import Any

from grpo_jax.config import ConfigError


def load(module: str, purpose: str) -> Any:
  """The module, as in load("scipy.optimize", "fitting curves").

  Raises:
    ConfigError: it is not installed; names the extra.
  """
  try:
    return importlib.import_module(module)
  except ImportError as error:
    package = module.partition(".")[0]
    raise ConfigError(f"{purpose} needs {package}: pip install 'grpo_jax[sweep]'") from error
