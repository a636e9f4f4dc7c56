"""File systems of one's own for a command: small ones, and folders that cannot be written."""

import shlex
import shutil
import subprocess

import pytest

_UNSHARE = ["unshare", "--mount", "--user", "--map-root-user", "sh", "-c"]


def run(script: str, *, cwd: str, **options) -> subprocess.CompletedProcess:
  """Runs a shell script that may mount; skips the test where nobody may."""
  there = shutil.which("unshare")
  if not there or subprocess.run([*_UNSHARE, "true"], capture_output=True).returncode:
    pytest.skip("no file system can be mounted here")
  return subprocess.run([*_UNSHARE, script], cwd=cwd, capture_output=True, text=True, **options)


def read_only(folder) -> str:
  """A line of such a script, after which nothing in the folder can be changed."""
  place = shlex.quote(str(folder))
  return f"mount --bind {place} {place} && mount -o remount,bind,ro {place} &&"


def small(folder, size: str) -> str:
  """A line after which the folder is empty and has so little room, as in 400k."""
  return f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))} &&"
