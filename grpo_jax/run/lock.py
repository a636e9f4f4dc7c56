"""A run folder is one run's at a time, and can be written: said before anything is loaded."""

import fcntl
import logging
import os
import socket
import tempfile
from typing import IO

from grpo_jax.config import ConfigError

_LOG = logging.getLogger(__name__)
_APPENDED = ("metrics.jsonl", "samples.jsonl", "rewards.log")
# What a run can do without.
_SPARED = ("tensorboard", "profile")


def take(lock: IO[str], workdir: str) -> None:
  """Locks an open file and writes into it who has it; the lock ends with its process.

  Raises:
    ConfigError: another process has it.
  """
  try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    lock.seek(0)
    holder = lock.read(200).strip()
    raise ConfigError(
      f"--workdir={workdir}: another run is using it{holder and f' ({holder})'}: wait for it, or"
      " name another folder"
    ) from None
  except OSError as error:  # some network file systems have none
    _LOG.warning("%s cannot be locked (%s): let no other run use it", workdir, error.strerror)
  lock.truncate(0)
  lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
  lock.flush()


def check_writable(workdir: str) -> None:
  """Makes and removes a file in the run folder and in each folder below it that is there.

  Raises:
    ConfigError: names the first that cannot be written.
  """
  below = (entry for entry in os.scandir(workdir) if entry.is_dir())
  folders = [workdir, *(entry.path for entry in below if entry.name not in _SPARED)]
  files = [os.path.join(workdir, name) for name in _APPENDED]
  place = workdir
  try:
    for place in folders:
      with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"written")
        file.flush()
    for place in filter(os.path.exists, files):
      with open(place, "ab"):
        pass
  except OSError as error:
    raise ConfigError(
      f"--workdir={workdir}: {place} cannot be written: {error.strerror}: make room or give it to"
      " this user, or name another folder"
    ) from error
