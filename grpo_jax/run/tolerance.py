"""Saves that fail: how many in a row a run puts up with, and that none is forgotten at its end."""

import contextlib
from collections.abc import Callable, Iterator


class Tolerance:
  """What becomes of the saves of one run.

  Args:
    most: failures in a row after which it still goes on.
    say: takes a line of each.
  """

  def __init__(self, most: int = 0, say: Callable[[str], None] = print):
    self._most, self._say = most, say
    self._failed: list[RuntimeError] = []

  @contextlib.contextmanager
  def failing(self) -> Iterator[None]:
    """Inside, a save is begun or ended.

    Raises:
      RuntimeError: it has failed, once more than may be.
    """
    try:
      yield
    except RuntimeError as error:
      self._failed.append(error)
      if len(self._failed) > self._most:
        self._failed.clear()  # it is told here: not again as files are closed
        raise
      count = f"{len(self._failed)} of {self._most} in a row"
      self._say(f"warning: {error}; going on, as --tolerate_save_failures lets it ({count})")

  def succeeded(self) -> None:
    """To be called once a save is known to be whole."""
    self._failed.clear()

  def end(self) -> None:
    """No run ends well whose last save has failed.

    Raises:
      RuntimeError: the failure.
    """
    if self._failed:
      raise self._failed[-1]
