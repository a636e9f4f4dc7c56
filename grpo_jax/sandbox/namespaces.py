"""A file system, processes and network of its own, with the rights of any user."""

import ctypes
import os

from grpo_jax.sandbox.kernel import call
from grpo_jax.sandbox.visible import View

# CLONE_NEW...: NS, CGROUP, UTS, IPC, USER, PID, NET.
_ALL = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_NOBODY, _HOST = 65534, b"answer"
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE = 2, 4, 8, 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_READ_ONLY = 1  # of MOUNT_ATTR_..., as are NOSUID 2 and NODEV 4, which equal MS_...
HOME = "/answer"


def enter() -> None:
  """Leaves the host's namespaces; the next child is process 1 of a world of its own.

  Raises:
    OSError: the machine does not let this user do so.
  """
  user, group = os.getuid(), os.getgid()
  call("unshare", _ALL)
  for name, text in (
    ("setgroups", "deny"),
    ("uid_map", f"{_NOBODY} {user} 1"),
    ("gid_map", f"{_NOBODY} {group} 1"),
  ):
    with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
      file.write(text)
  call("sethostname", _HOST, len(_HOST))  # or the machine's name would be told


def change_root(folder: str, view: View, size: int, files: int) -> None:
  """Makes a root that holds nothing but what is visible, read-only, and an empty folder, HOME.

  Args:
    folder: an existing one to mount the new root on; nothing is written to it.
    view: what is visible.
    size: bytes that HOME may hold.
    files: how many files and folders.
  """
  call("mount", b"none", b"/", None, _REC | _PRIVATE, None)
  call("mount", b"tmpfs", folder.encode(), b"tmpfs", _NOSUID | _NODEV, b"size=1m,mode=755")
  _fill(folder, view)
  os.mkdir(folder + HOME)
  attributes = (ctypes.c_uint64 * 4)(_READ_ONLY | _NOSUID | _NODEV, 0, 0, 0)
  call("syscall", _MOUNT_SETATTR, _AT_FDCWD, folder.encode(), _AT_RECURSIVE, attributes, 32)
  options = f"size={size},nr_inodes={files},mode=700".encode()
  home = (folder + HOME).encode()
  call("mount", b"tmpfs", home, b"tmpfs", _NOSUID | _NODEV | _NOEXEC, options)
  os.chdir(folder)
  # The old root lies on top of the new one, at the same place, until it is taken away.
  call("pivot_root", b".", b".")
  call("umount2", b".", _DETACH)
  os.chdir(HOME)


def _fill(folder: str, view: View) -> None:
  for path in view.readable:
    _bind(path, folder + path)
  for path in view.hidden:
    call("mount", b"tmpfs", (folder + path).encode(), b"tmpfs", _NOSUID | _NODEV, b"size=4k")
  for path, real in view.links.items():
    if not os.path.lexists(folder + path):
      os.makedirs(os.path.dirname(folder + path), exist_ok=True)
      os.symlink(real, folder + path)


def _bind(source: str, target: str) -> None:
  if os.path.isdir(source):
    os.makedirs(target, exist_ok=True)
  else:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "w", encoding="ascii"):
      pass
  call("mount", source.encode(), target.encode(), None, _BIND | _REC, None)
