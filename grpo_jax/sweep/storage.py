"""Where a study is kept: a journal file, or whatever an Optuna URL names."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.sweep.extra import quiet_optuna


def open_storage(url: str) -> Any:
  """Optuna's storage for an URL, or for the path of a journal file.

  Raises:
    ConfigError: one line: it cannot be opened.
  """
  optuna = quiet_optuna()
  from optuna.storages.journal import JournalFileBackend

  try:
    if "://" in url:
      return optuna.storages.get_storage(url)
    os.makedirs(os.path.dirname(os.path.abspath(url)), exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(url, lock_obj=_lock(url)))
  except Exception as error:  # each database has its own
    line = " ".join(str(error).split())[:300]
    raise ConfigError(f"--storage={url}: cannot be opened: {line}") from error


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
  """A storage that fails while the sweep runs is one line, a ConfigError."""
  import optuna

  try:
    yield
  except (optuna.exceptions.StorageInternalError, OSError) as error:
    line = " ".join(str(error.__cause__ or error).split())[:300]
    raise ConfigError(f"--storage={url}: {line}: mend it, and the same command goes on") from error


def _lock(path: str) -> Any:
  """Optuna's lock of a journal, by flock: a killed process leaves none behind.

  What a kill or a full disk has torn off is dropped before anything is written after it.
  """

  class Lock:
    def acquire(self) -> bool:
      self._file = open(f"{path}.lock", "a")  # noqa: SIM115, held until release
      fcntl.flock(self._file, fcntl.LOCK_EX)
      _mend(path)
      return True

    def release(self) -> None:
      self._file.close()

  return Lock()


def _mend(path: str) -> None:
  """Cuts a journal after its last whole line."""
  with open(path, "rb+") as file:
    end = file.seek(0, os.SEEK_END)
    if not end:
      return
    file.seek(end - 1)
    if file.read(1) != b"\n":
      file.seek(0)
      file.truncate(file.read().rfind(b"\n") + 1)
