"""Files of a model folder: none is read that lies outside it."""

import json
import os
from typing import Any

from grpo_jax.weights.errors import WeightsError

# The largest tokenizer.json has 35 MB; what is read as JSON takes up to twenty times its size.
_MOST_BYTES = 1 << 26


def inside(folder: str, name: Any) -> str | None:
  """The real path of a file of a folder, links followed; None where there is no such file.

  Raises:
    WeightsError: the path leads out of the folder.
  """
  root = os.path.realpath(folder)
  written = os.path.abspath(os.path.join(root, str(name).replace("\0", "")))
  try:
    real = os.path.realpath(written)
  except UnicodeEncodeError as error:
    raise WeightsError(f"{folder}: {str(name)!r} is no name of a file") from error
  homes = [root]
  if os.path.basename(os.path.dirname(root)) == "snapshots":
    # A hub cache keeps its files in blobs/, and snapshots/<revision>/ links to them.
    homes.append(os.path.join(os.path.dirname(os.path.dirname(root)), "blobs"))
  if not _below(written, root) or not any(_below(real, home) for home in homes):
    raise WeightsError(f"{folder}: {str(name)!r} leads out of the folder")
  return real if os.path.isfile(real) else None


def _below(path: str, folder: str) -> bool:
  return os.path.commonpath([folder, path]) == folder


def read_text(folder: str, name: str, *, required: bool = True) -> str | None:
  """A text file of a folder; None where it is not there and not required."""
  path = inside(folder, name)
  if path is None:
    if not required:
      return None
    raise WeightsError(f"{os.path.join(folder, name)} is missing")
  try:
    size = os.path.getsize(path)
    if size > _MOST_BYTES:
      raise ValueError(f"{size} bytes are more than {_MOST_BYTES}")
    # newline="": a chat template keeps its line ends.
    with open(path, encoding="utf-8", newline="") as file:
      return file.read()
  except (ValueError, OSError) as error:
    raise WeightsError(f"{os.path.join(folder, name)}: not readable as text: {error}") from error


def read_json(folder: str, name: str, *, required: bool = True) -> dict[str, Any]:
  """A JSON object of a folder; {} where it is not there and not required."""
  text = read_text(folder, name, required=required)
  if text is None:
    return {}
  where = os.path.join(folder, name)
  try:
    value = json.loads(text)
    if "\\u" in text:  # "\ud800" alone is no text to give a tokenizer
      json.dumps(value, ensure_ascii=False).encode()
  except (ValueError, RecursionError) as error:
    raise WeightsError(f"{where}: not readable as JSON: {error}") from error
  if not isinstance(value, dict):
    raise WeightsError(f"{where}: expected a JSON object, found {type(value).__name__}")
  return value
