"""Which of the machine's files a judged program sees: Python's library and shared objects."""

import os
import sys
from typing import NamedTuple

_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")


class View(NamedTuple):
  """Absolute paths: what may be read, what in it is hidden, and links to it by their names."""

  readable: list[str]
  hidden: list[str]
  links: dict[str, str]


def view() -> View:
  """What this Python needs of this machine."""
  paths = _readable()
  return View(paths, _hidden(paths), _links())


def without(paths: list[str], holes: list[str]) -> tuple[list[str], list[str]]:
  """The paths without what is in the holes: what may be read, and folders that lead there."""
  whole, opened = [], []
  for path in paths:
    if path in holes:
      continue
    if any(hole.startswith(f"{path}/") for hole in holes):
      opened.append(path)
      inner = [entry.path for entry in os.scandir(path) if not entry.is_symlink()]
      deeper = without(inner, holes)
      whole += deeper[0]
      opened += deeper[1]
    else:
      whole.append(path)
  return whole, opened


def _readable() -> list[str]:
  """Real paths of folders and files, none within another."""
  python = [f"{prefix}/lib" for prefix in (sys.base_prefix, sys.base_exec_prefix)]
  paths = {
    os.path.realpath(path) for path in (*python, *sys.path, *_SYSTEM) if os.path.exists(path)
  }
  return sorted(p for p in paths if not any(p.startswith(f"{other}/") for other in paths))


def _links() -> dict[str, str]:
  """Names under which the same is looked for, /lib for example, and the real paths behind them."""
  found = ((path, os.path.realpath(path)) for path in (*_SYSTEM, *sys.path))
  return {path: real for path, real in found if path != real and os.path.exists(real)}


def _hidden(paths: list[str]) -> list[str]:
  """Installed packages within the paths: a data set of tests may lie there, answers and all."""
  folders = [path for path in paths if os.path.isdir(path)]
  pythons = [f"{path}/{name}" for path in folders for name in os.listdir(path)]
  folders += [path for path in pythons if os.path.basename(path).startswith("python3")]
  packages = {f"{path}/{name}" for path in folders for name in ("site-packages", "dist-packages")}
  return sorted(path for path in packages if os.path.isdir(path) and not os.path.islink(path))
