"""A run that is asked to stop: its state is saved, and the same command goes on from there."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from grpo_jax.parallel.parting import TogetherError

# The number of the signal that has asked the run to stop; 0 before.
Asked = Callable[[], int]
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LINE = "{}: what is in work ends and is saved; a second one ends the run at once\n"


class StopError(TogetherError):
  """The run has been asked to stop, and can be left here.

  number: of the signal.
  """

  def __init__(self, number: int):
    super().__init__(f"stopped by {signal.Signals(number).name}")
    self.number = number


def never() -> int:
  """`Asked` of a run that nobody can stop so."""
  return 0


def no_pause(_: str) -> None:
  """Where nothing is given up half-way."""


@contextlib.contextmanager
def watching() -> Iterator[Asked]:
  """Inside, SIGTERM and SIGINT are noted, and end nothing; a second one does what it did before.

  Signals reach the main thread: elsewhere nothing is noted.
  """
  if threading.current_thread() is not threading.main_thread():
    yield never
    return
  found: list[int] = []
  # One that is ignored, as under nohup, stays so.
  handlers = {number: signal.getsignal(number) for number in _SIGNALS}
  before = {n: of for n, of in handlers.items() if of not in (signal.SIG_IGN, None)}

  def note(number: int, _: FrameType | None) -> None:
    found.append(number)
    restore()
    with contextlib.suppress(OSError):  # a full disk, where standard error is a file
      os.write(2, _LINE.format(signal.Signals(number).name).encode())  # print() is not reentrant

  def restore() -> None:
    for number, handler in before.items():
      signal.signal(number, handler)

  for number in before:
    signal.signal(number, note)
  try:
    yield lambda: found[0] if found else 0
  finally:
    restore()


def check(asked: Asked) -> None:
  """Raises StopError once a signal has asked."""
  if asked():
    raise StopError(asked())


def pause(asked: Asked) -> Callable[[str], None]:
  """`check`, for the places of a step where what it has done can be given up.

  An evaluation cannot: what it finds belongs to the checkpoint of its step.
  """

  def at(place: str) -> None:
    if place != "evaluation":
      check(asked)

  return at
