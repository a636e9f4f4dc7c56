"""The error of this room: one line, whatever the library underneath had to say."""

import contextlib
from collections.abc import Iterator

from grpo_jax.config import ConfigError

_LONGEST = 500


class WeightsError(ConfigError):
  """A model file that cannot be read; the message is one line."""

  def __init__(self, message: str):
    # What a file made us say goes to a terminal: no control characters, no lone surrogates.
    words = " ".join(message[: 4 * _LONGEST].split())
    line = "".join(character if character.isprintable() else "\ufffd" for character in words)
    super().__init__(line if len(line) <= _LONGEST else line[:_LONGEST] + "...")


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
  """Turns whatever a library raises at a malformed file into one line that begins with `what`."""
  try:
    yield
  except WeightsError:
    raise
  except BaseException as error:
    # A library in Rust that gives up raises what is no Exception; Ctrl-C is none either.
    if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
      raise
    raise WeightsError(f"{what}: {str(error) or type(error).__name__}") from error


@contextlib.contextmanager
def extra(packages: str) -> Iterator[None]:
  """Turns a failed import into one line that says what to install."""
  try:
    yield
  except ImportError as error:
    raise WeightsError(
      f"reading model files needs {packages}: pip install 'grpo_jax[weights]'"
    ) from error
