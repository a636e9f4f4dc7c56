"""Files by allow-list, whatever the user's rights: Landlock, Linux 5.13 and newer."""

import ctypes
import os

from grpo_jax.sandbox.kernel import call

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION = 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# What each version of Landlock knows of: files, then from version 4 TCP, from 6 signals and
# abstract sockets. Everything known is forbidden but where a rule allows it.
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_FILES_5, _TCP, _SCOPES = (1 << 16) - 1, 0b11, 0b11
_EXECUTE, _IOCTL = 1 << 0, 1 << 15


class _PathBeneath(ctypes.Structure):
  _pack_ = 1
  _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
  """Landlock's version, from 1.

  Raises:
    OSError: the kernel has none, or a container's filter hides it.
  """
  return call("syscall", _CREATE, None, 0, _VERSION)


def restrict(readable: list[str], listable: list[str], writable: str | None) -> None:
  """Forbids files for good but those beneath `readable` and, to write too, beneath `writable`.

  Args:
    readable: folders and files.
    listable: folders whose names may be listed, of whose content this opens nothing.
    writable: a folder, or None.
  """
  known = version()
  files = _FILES.get(known, _FILES_5)
  attributes = (ctypes.c_uint64 * 3)(files, _TCP * (known >= 4), _SCOPES * (known >= 6))
  rules = call("syscall", _CREATE, attributes, ctypes.sizeof(attributes), 0)
  for path in readable:
    _allow(rules, path, _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE)
  for path in listable:
    _allow(rules, path, _READ_DIR)
  if writable is not None:
    _allow(rules, writable, files & ~(_EXECUTE | _IOCTL))
  call("syscall", _RESTRICT, rules, 0)
  os.close(rules)


def _allow(rules: int, path: str, access: int) -> None:
  folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
  rule = _PathBeneath(access, folder)
  call("syscall", _ADD_RULE, rules, 1, rule, 0)
  os.close(folder)
