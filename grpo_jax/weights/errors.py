"""The error of this room: one line, whatever the library underneath had to say."""

import contextlib
from collections.abc import Iterator

from grpo_jax.config import ConfigError

_LONGEST = 500


class WeightsError(ConfigError):
  """A model file that cannot be read; the message is one line."""

  def __init__(self, message: str):
    line = " ".join(message.split())
    super().__init__(line if len(line) <= _LONGEST else line[:_LONGEST] + "...")


@contextlib.contextmanager
def extra(packages: str) -> Iterator[None]:
  """Turns a failed import into one line that says what to install."""
  try:
    yield
  except ImportError as error:
    raise WeightsError(
      f"reading model files needs {packages}: pip install 'grpo_jax[weights]'"
    ) from error
