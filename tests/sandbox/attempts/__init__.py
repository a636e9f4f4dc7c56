"""Programs that try to get out of the sandbox, or to be paid for nothing, by name.

Each binds `f(world)`, see `hosts.World`. What `tried` returns says of each action whether it got
anywhere, as GOT and what, or the error that stopped it.
"""

from tests.sandbox.attempts.files import FILES
from tests.sandbox.attempts.forgeries import FORGERIES
from tests.sandbox.attempts.network import NETWORK
from tests.sandbox.attempts.processes import PROCESSES
from tests.sandbox.attempts.resources import RESOURCES

__all__ = ["ATTEMPTS", "FILES", "FORGERIES", "NETWORK", "PRELUDE", "PROCESSES", "RESOURCES"]

ATTEMPTS = {**PROCESSES, **RESOURCES, **NETWORK, **FILES, **FORGERIES}

PRELUDE = '''
import ctypes, os, resource, signal, socket, subprocess, sys, threading, time
machine = os.uname().machine == "aarch64"
libc = ctypes.CDLL(None, use_errno=True)

def raw(x86_64, aarch64, *arguments):
  """A system call by its number, without the C library's own checks."""
  found = libc.syscall(aarch64 if machine else x86_64, *(
    ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
  if found == -1:
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
  return found

def tried(*actions):
  said = []
  for action in actions:
    try:
      said.append(f"GOT {action()!r}"[:200])
    except BaseException as error:
      number = getattr(error, "errno", None)
      said.append(f"{type(error).__name__} {number or error}"[:200])
  return said

def write(path, text="taken over"):
  with open(path, "w") as file:
    file.write(text)
  return path

def read(path):
  with open(path, "rb") as file:
    return file.read(4000)
'''
