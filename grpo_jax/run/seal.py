"""Seals: sizes and checksums of the files of a folder, to see later whether they are the same."""

import contextlib
import json
import os
import zlib
from collections.abc import Iterator

SEAL = "seal.json"
_CHUNK = 1 << 22


def seal(folder: str) -> None:
  """Writes FOLDER/seal.json, whole or not at all."""
  found = {name: _measured(os.path.join(folder, name)) for name in _files(folder)}
  temporary = os.path.join(folder, f"{SEAL}.tmp")
  try:
    with open(temporary, "w", encoding="utf-8") as file:
      json.dump(found, file)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, os.path.join(folder, SEAL))
  except OSError:
    with contextlib.suppress(OSError):
      os.remove(temporary)
    raise


def broken(folder: str) -> str | None:
  """What is not as it was sealed, as "FILE is ..."; None where all is, or nothing was sealed."""
  path = os.path.join(folder, SEAL)
  if not os.path.exists(path):
    return None
  try:
    with open(path, encoding="utf-8") as file:
      sealed = json.load(file)
    for name, (size, checksum) in sealed.items():
      if said := _difference(os.path.join(folder, name), size, checksum):
        return f"{name} {said}"
  except (OSError, ValueError, TypeError, AttributeError) as error:
    return f"{SEAL} cannot be read ({type(error).__name__})"
  return None


def _difference(path: str, size: int, checksum: int) -> str | None:
  if not os.path.isfile(path):
    return "is missing"
  if (now := os.path.getsize(path)) != size:
    return f"has {now:,} bytes instead of {size:,}"
  return None if _measured(path)[1] == checksum else "has another checksum than when it was written"


def _files(folder: str) -> Iterator[str]:
  """All below it but the seal itself, by their paths from it."""
  for place, _, names in os.walk(folder):
    for name in sorted(names):
      path = os.path.relpath(os.path.join(place, name), folder)
      if not path.startswith(SEAL):
        yield path


def _measured(path: str) -> tuple[int, int]:
  """Bytes, and their CRC-32: it finds what disks and copies do, not what a person does."""
  size = checksum = 0
  with open(path, "rb") as file:
    while chunk := file.read(_CHUNK):
      size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
  return size, checksum
