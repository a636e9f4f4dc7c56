"""Calls of the C library that Python's os has not, or not before 3.12: errors are OSErrors."""

import ctypes
import os
import signal

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITIES_V3 = 0x20080522


def call(name: str, *arguments: int | bytes | ctypes.Array | ctypes.Structure | None) -> int:
  """The result of libc's function; structures are passed by address, None as a null pointer.

  Raises:
    OSError: it returned -1; the message begins with its name.
  """
  passed: list[object] = []
  for argument in arguments:
    if isinstance(argument, int):
      passed.append(ctypes.c_long(argument))
    else:
      passed.append(ctypes.byref(argument) if isinstance(argument, ctypes.Structure) else argument)
  result = getattr(_LIBC, name)(*passed)
  if result == -1:
    error = ctypes.get_errno()
    raise OSError(error, f"{name}: {os.strerror(error)}")
  return result


def die_with_parent() -> None:
  """SIGKILL for this process where its parent dies. To be asked for after changes of user."""
  call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def no_new_privileges() -> None:
  """No program started from here gains rights by its file; seccomp and Landlock ask for this."""
  call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities() -> None:
  """Gives up every capability for good, root's too: files are then guarded by their modes."""
  header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
  call("capset", header, (ctypes.c_uint32 * 6)())
