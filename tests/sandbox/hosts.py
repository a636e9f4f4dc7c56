"""The host that programs try to harm: canaries, listeners, a secret; and what became of them."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import uuid
from unittest import mock

from grpo_jax.sandbox import judge

SECRET = "the-secret-of-the-judge"


class World:
  """What programs are told of the host, all of it, so that nothing is hard to find.

  facts: the argument of each program's `f`. `harm()` says what was done to the host since.
  """

  def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack):
    self._canary, self._temporary = folder / "canary", folder / "tmp"
    self._home = pathlib.Path.home() / f".sandbox_canary_{uuid.uuid4().hex}"
    self._temporary.mkdir()
    for path in (self._canary, self._home):
      path.write_text(SECRET, encoding="utf-8")
    stack.callback(self._home.unlink, missing_ok=True)
    abstract = f"sandbox_{uuid.uuid4().hex}"
    addresses = (("127.0.0.1", 0), str(folder / "s"), f"\0{abstract}")
    self._listeners = [stack.enter_context(_listener(address)) for address in addresses]
    self._started: list[int] = []
    stack.enter_context(mock.patch.dict(os.environ, SANDBOX_SECRET=SECRET))
    stack.enter_context(mock.patch.object(tempfile, "tempdir", str(self._temporary)))
    stack.enter_context(mock.patch.object(subprocess, "Popen", self._recorded(subprocess.Popen)))
    self._module = pathlib.Path(judge.__file__)
    self._before = self._module.read_bytes()
    self._mode = self._canary.stat()
    self.facts = {
      "judge": os.getpid(), "canary": str(self._canary), "home": str(self._home),
      "folder": str(folder), "port": self._listeners[0].getsockname()[1],
      "socket": str(folder / "s"), "abstract": abstract, "module": judge.__file__,
    }  # fmt: skip

  def _recorded(self, popen):
    def started(*arguments, **options):
      process = popen(*arguments, **options)
      self._started.append(process.pid)
      return process

    return started

  def harm(self) -> list[str]:
    """One line for each thing that is not as it was; [] where the host is unharmed."""
    wrong = [f"process {pid} is left" for pid in _of_sessions(self._started)]
    wrong += [f"{name} is left" for name in os.listdir(self._temporary)]
    for path in (self._canary, self._home):
      if not path.exists() or path.read_text(encoding="utf-8") != SECRET:
        wrong.append(f"{path} was changed")
    now = self._canary.stat() if self._canary.exists() else None
    if now is None or (now.st_mode, now.st_uid, now.st_mtime) != (
      self._mode.st_mode, self._mode.st_uid, self._mode.st_mtime,
    ):  # fmt: skip
      wrong.append("the canary's mode, owner or time was changed")
    if self._module.read_bytes() != self._before:
      wrong.append("the judge was overwritten")
    for name in ("/out", "/tmp/sandbox_out", "/dev/shm/sandbox_out", "/var/tmp/sandbox_out"):
      wrong += [f"{name} was written"] if os.path.exists(name) else []
    return wrong + [f"{s.getsockname()} was reached" for s in self._listeners if _reached(s)]


def _listener(address):
  family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
  listener = socket.socket(family)
  listener.bind(address)
  listener.listen()
  listener.setblocking(False)
  return listener


def _reached(listener) -> bool:
  try:
    listener.accept()[0].close()
  except BlockingIOError:
    return False
  return True


def _of_sessions(leaders: list[int]) -> list[int]:
  """Living processes and zombies that were started in these sessions, or by these processes."""
  found = []
  for name in filter(str.isdigit, os.listdir("/proc")):
    try:
      after_name = pathlib.Path(f"/proc/{name}/stat").read_text(encoding="utf-8").rpartition(")")[2]
      marked = pathlib.Path(f"/proc/{name}/environ").read_bytes() == b"PYTHONHASHSEED=0\0"
    except OSError:
      continue
    # state, parent, group, session
    parent, group, session = map(int, after_name.split()[1:4])
    ours = parent == os.getpid() and marked
    if ours or {int(name), group, session} & set(leaders):
      found.append(int(name))
  return found
