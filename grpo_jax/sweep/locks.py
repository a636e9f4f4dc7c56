"""Which worker a trial belongs to: the one that holds the lock in its folder."""

import fcntl
import os
from typing import TextIO


class Locks:
  """This worker's locks; the kernel frees them when it dies, however that happens."""

  def __init__(self) -> None:
    self._held: dict[int, TextIO] = {}

  def take(self, number: int, folder: str) -> bool:
    """Makes a trial's folder and locks it; whether it was free."""
    os.makedirs(folder, exist_ok=True)
    lock = open(_path(folder), "a")  # noqa: SIM115, held until the trial ends
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
      lock.close()
      return False
    self._held[number] = lock
    return True

  def sign(self, folder: str, token: str) -> None:
    """Writes down whose folder it is."""
    with open(_path(folder), "w", encoding="utf-8") as file:
      file.write(token)

  def release(self, number: int) -> None:
    """Gives one back."""
    self._held.pop(number).close()

  def close(self) -> None:
    """Gives all back."""
    for number in list(self._held):
      self.release(number)


def is_seen(folder: str, token: str) -> bool:
  """Whether a folder is the one that a worker has signed, and not its like on this machine."""
  try:
    with open(_path(folder), encoding="utf-8") as file:
      return file.read() == token
  except OSError:
    return False


def _path(folder: str) -> str:
  return os.path.join(folder, ".lock")
