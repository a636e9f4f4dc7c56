"""What keeps checkpoints whole: room to write them, seals, and bad ones set aside."""

import contextlib
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import jax

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes
from grpo_jax.run.seal import SEAL, broken, seal

_POLL_S = 0.02
# As TensorStore quotes errno.
_CODE = re.compile(r"os_error_code='(\d+)'")


@contextlib.contextmanager
def writing(workdir: str, what: str, tree: Any, unfinished: str = "") -> Iterator[None]:
  """Inside, `tree` is written into the run folder; an error says what failed, where and why.

  `unfinished` is a folder that a failure leaves behind, and that nobody could use.

  Raises:
    RuntimeError: it needs more than there is, or could not be written. What was there before is.
  """
  needed = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
  free = shutil.disk_usage(workdir).free
  hint = "; earlier ones are as they were: make room, and the same command resumes"
  if processes.count() == 1 and needed > free:
    raise RuntimeError(f"{what} needs {needed:,} bytes in {workdir}, and {free:,} are free{hint}")
  try:
    yield
  except (OSError, ValueError) as error:
    if processes.count() > 1:  # it may be that another process is gone, which its caller knows
      raise
    free, said = shutil.disk_usage(workdir).free, _cause(error)
    if unfinished:
      shutil.rmtree(unfinished, ignore_errors=True)
    raise RuntimeError(
      f"{what} could not be written in {workdir}, where {free:,} bytes are free: {said}{hint}"
    ) from error


def _cause(error: Exception) -> str:
  """What the system said, out of what libraries say around it."""
  said = " ".join(str(error).split())
  code = _CODE.search(said)
  return os.strerror(int(code[1])) if code else said[-200:]


def check_folder(folder: str) -> None:
  """Makes the folder, and a file in it: what Orbax has begun and cannot do it waits for, for days.

  Raises:
    OSError: either cannot be made.
  """
  os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryFile(dir=folder):
    pass


class Sealer:
  """Seals a checkpoint as soon as it is there, beside the run."""

  def __init__(self) -> None:
    self._thread: threading.Thread | None = None
    self._over = threading.Event()

  def begin(self, folder: str) -> None:
    """Waits for a folder to appear, which it does whole, and seals it."""
    if processes.index() == 0:
      self._over.clear()
      self._thread = threading.Thread(target=self._seal, args=(folder,), daemon=True)
      self._thread.start()

  def end(self) -> None:
    """To be called when all is written, or will not be; the folder is sealed, if it is there."""
    self._over.set()
    if self._thread is not None:
      self._thread.join()

  def _seal(self, folder: str) -> None:
    while not os.path.isdir(folder) and not self._over.wait(_POLL_S):
      pass
    if not os.path.isdir(folder):
      return
    # A newer one may have taken its place, or the disk be full: then it goes unsealed.
    with contextlib.suppress(OSError):
      seal(folder)


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
  """Inside, a checkpoint is read that may never have been sealed, so that nothing vouches for it.

  Raises:
    ConfigError: it cannot be read.
  """
  try:
    yield
  except ConfigError:
    raise
  except (OSError, ValueError, KeyError, AttributeError) as error:
    if processes.count() > 1:  # as in `writing`
      raise
    said = " ".join(str(error).split())[:200]
    raise ConfigError(
      f"{path} cannot be read ({said}): move it elsewhere, and the same command goes on from the"
      " one before"
    ) from error


def set_aside(workdir: str) -> list[str]:
  """Moves the newest checkpoints out of the way that are not as they were written.

  Returns:
    A line of each, now in WORKDIR/set_aside, and of one that is used without a seal.

  Raises:
    ConfigError: none is whole.
  """
  root, lines = os.path.join(workdir, "checkpoints"), []
  names = os.listdir(root) if os.path.isdir(root) else []
  numbers = sorted((int(name) for name in names if name.isdigit()), reverse=True)
  said = {}
  for number in numbers:
    if (found := _broken(os.path.join(root, str(number)))) is None:
      if not os.path.exists(os.path.join(root, str(number), SEAL)):
        lines.append(f"checkpoint {number} has no {SEAL}, as after a kill or a copy: used as it is")
      break
    said[number] = found
  if numbers and len(said) == len(numbers):
    newest = numbers[0]
    raise ConfigError(
      f"no checkpoint in {root} is as it was written, in the newest {said[newest]}: put one back"
      " from a copy, or name another --workdir"
    )
  for number, found in said.items():
    place = _free(os.path.join(workdir, "set_aside", str(number)))
    os.makedirs(os.path.dirname(place), exist_ok=True)
    os.rename(os.path.join(root, str(number)), place)
    lines.append(f"checkpoint {number} is not as it was written ({found}): now in {place}")
  return lines


def _broken(folder: str) -> str | None:
  """As `broken`; of one without a seal, whether it has what Orbax cannot do without."""
  if os.path.exists(os.path.join(folder, SEAL)):
    return broken(folder)
  there = os.path.exists(os.path.join(folder, "default", "_METADATA"))
  return None if there else f"{SEAL} and default/_METADATA are missing"


def _free(path: str) -> str:
  """The path, or with a number where it is taken."""
  tried, count = path, 1
  while os.path.exists(tried):
    tried, count = f"{path}-{count}", count + 1
  return tried
