"""Checkpoints that are damaged, of another model, or have no room: nothing good is lost."""

import contextlib
import os
import shutil
import sys

import numpy as np
import optax
import pytest

from grpo_jax import config
from grpo_jax.config import ConfigError
from grpo_jax.run import params
from grpo_jax.run.checkpoint import Checkpointer
from grpo_jax.run.intact import set_aside, writing
from grpo_jax.run.params import is_there, read_params, write_params
from grpo_jax.run.seal import SEAL, broken, seal
from grpo_jax.steps.update import init_state
from tests.faults import mounts
from tests.run import stages_test

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _flip(path):
  """One bit in the middle of a file."""
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)


def _truncate(path):
  path.write_bytes(path.read_bytes()[:-1])


def _largest(folder):
  files = [path for path in folder.rglob("*") if path.is_file() and path.name != SEAL]
  return max(files, key=lambda path: path.stat().st_size)


def _numbers(workdir):
  return sorted(int(name) for name in os.listdir(workdir / "checkpoints") if name.isdigit())


@pytest.mark.fault(5)
@pytest.mark.parametrize(
  ("damage", "said"),
  [
    (_flip, "a/b has another checksum"),
    (_truncate, "a/b has 2 bytes instead of 3"),
    (os.remove, "a/b is missing"),
  ],
)
def test_a_seal_finds_what_has_changed(tmp_path, damage, said):
  (tmp_path / "a").mkdir()
  (tmp_path / "a" / "b").write_bytes(b"xyz")
  assert broken(tmp_path) is None  # never sealed
  seal(tmp_path)
  assert broken(tmp_path) is None
  damage(tmp_path / "a" / "b")
  assert broken(tmp_path).startswith(said)


@pytest.mark.fault(5)
def test_a_broken_seal_is_no_whole_one(tmp_path):
  (tmp_path / SEAL).write_text("[1")
  assert "cannot be read" in broken(tmp_path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
  """A run of four steps that was killed after three, with checkpoints of two and three."""
  folder = tmp_path_factory.mktemp("runs")
  for name, steps in (("whole", 4), ("left", 4)):
    stages = {"rl": stages_test._grpo(steps=steps)}
    whole = stages_test.experiment(stages)
    whole.checkpoint = config.Checkpoint(every=1)
    fault = "sigterm:save@3" if name == "left" else ""
    with contextlib.suppress(stages_test.loop.stopping.StopError):
      stages_test.loop.run(whole, str(folder / name), say=lambda _: None, fault=fault)
  assert _numbers(folder / "left") == [2, 3]
  return folder


def _resumed(workdir):
  said, whole = [], stages_test.experiment({"rl": stages_test._grpo(steps=4)})
  whole.checkpoint = config.Checkpoint(every=1)
  stages_test.loop.run(whole, str(workdir), say=said.append)
  return "\n".join(said)


@pytest.mark.fault(5)
@pytest.mark.parametrize("damage", [_flip, _truncate, os.remove])
def test_the_newest_good_one_is_used_and_the_bad_one_set_aside(stopped, tmp_path, damage):
  shutil.copytree(stopped / "left", tmp_path / "run")
  damage(_largest(tmp_path / "run" / "checkpoints" / "3"))
  said = _resumed(tmp_path / "run")
  assert "checkpoint 3 is not as it was written" in said
  assert "resuming rl after step 2" in said
  assert (tmp_path / "run" / "set_aside" / "3").is_dir()
  left, right = (stages_test.lines(p) for p in (tmp_path / "run", stopped / "whole"))
  assert [line.get("train/grad_norm") for line in left] == [
    line.get("train/grad_norm") for line in right
  ]


def _unmarked(folder, *names):
  """Without its seal, as a copy that was cut short, and without these files."""
  for name in (SEAL, *names):
    os.remove(folder / name)


_MARKERS = ("commit_success.txt", "default/commit_success.txt", "_CHECKPOINT_METADATA")


@pytest.mark.fault(34)
def test_a_copy_without_its_markers_is_used_and_stays(stopped, tmp_path):
  shutil.copytree(stopped / "left", tmp_path / "run")
  newest = tmp_path / "run" / "checkpoints" / "3"
  _unmarked(newest, *(name for name in _MARKERS if (newest / name).exists()))
  there = sorted(newest.rglob("*"))
  said = _resumed(tmp_path / "run")
  assert "checkpoint 3 has no seal.json" in said
  assert "resuming rl after step 3" in said
  assert sorted(newest.rglob("*")) == there


@pytest.mark.fault(5, 34)
def test_a_copy_without_its_manifest_is_set_aside(stopped, tmp_path):
  shutil.copytree(stopped / "left", tmp_path / "run")
  _unmarked(tmp_path / "run" / "checkpoints" / "3", "default/_METADATA")
  said = _resumed(tmp_path / "run")
  assert "(seal.json and default/_METADATA are missing): now in" in said
  assert "resuming rl after step 2" in said
  assert (tmp_path / "run" / "set_aside" / "3" / "default").is_dir()


@pytest.mark.fault(34)
@pytest.mark.parametrize(
  "lost", ["default/manifest.ocdbt", "default/ocdbt.process_0/manifest.ocdbt"]
)
def test_a_copy_that_cannot_be_read_is_refused_and_stays(stopped, tmp_path, lost):
  shutil.copytree(stopped / "left", tmp_path / "run")
  newest = tmp_path / "run" / "checkpoints" / "3"
  _unmarked(newest, lost)
  for data in (newest / "default" / "d").iterdir():
    data.unlink()
  there = sorted(newest.rglob("*"))
  with pytest.raises(ConfigError, match=r"checkpoints/3 cannot be read .*: move it elsewhere"):
    _resumed(tmp_path / "run")
  assert sorted(newest.rglob("*")) == there


@pytest.mark.fault(5)
def test_where_none_is_whole_nothing_is_moved(stopped, tmp_path):
  shutil.copytree(stopped / "left", tmp_path / "run")
  for number in (2, 3):
    _flip(_largest(tmp_path / "run" / "checkpoints" / str(number)))
  with pytest.raises(ConfigError, match=r"no checkpoint in .* in the newest .*checksum"):
    set_aside(str(tmp_path / "run"))
  assert _numbers(tmp_path / "run") == [2, 3]


@pytest.mark.fault(5)
def test_a_place_that_is_taken_is_not_written_over(stopped, tmp_path):
  shutil.copytree(stopped / "left", tmp_path / "run")
  (tmp_path / "run" / "set_aside" / "3").mkdir(parents=True)
  _truncate(_largest(tmp_path / "run" / "checkpoints" / "3"))
  (line,) = set_aside(str(tmp_path / "run"))
  assert line.endswith("set_aside/3-1")


@pytest.mark.fault(41)
def test_a_damaged_reference_is_not_used(tmp_path):
  """Pitfall 16: what the KL compares with is what it was, or the run does not go on."""
  checkpoints, own = Checkpointer(str(tmp_path), config.Checkpoint()), {"a": np.arange(9.0)}
  checkpoints.pinned("reference", "rl", own)
  np.testing.assert_array_equal(checkpoints.pinned("reference", "rl", own)["a"], own["a"])
  _flip(_largest(tmp_path / "reference" / "rl"))
  with pytest.raises(ConfigError, match=r"reference/rl: .* checksum"):
    checkpoints.pinned("reference", "rl", own)
  checkpoints.close()


@pytest.mark.fault(2)
def test_what_is_replaced_is_there_until_the_new_one_is(tmp_path, monkeypatch):
  """The run is killed as it puts the new one in place."""
  path, old, new = str(tmp_path / "best" / "rl"), {"a": np.zeros(9)}, {"a": np.ones(9)}
  write_params(str(tmp_path), path, old)
  with monkeypatch.context() as patch:
    patch.setattr(params.os, "rename", _once(os.rename))
    with pytest.raises(KeyboardInterrupt):
      write_params(str(tmp_path), path, new)
  assert is_there(path)
  np.testing.assert_array_equal(read_params(path, old)["a"], old["a"])
  write_params(str(tmp_path), path, new)
  np.testing.assert_array_equal(read_params(path, old)["a"], new["a"])
  assert os.listdir(tmp_path / "best") == ["rl"]


def _once(rename):
  done = []

  def killed(*places):
    if done:
      raise KeyboardInterrupt
    done.append(rename(*places))

  return killed


@pytest.mark.fault(5)
def test_a_damaged_checkpoint_is_not_exported(stopped, tmp_path):
  shutil.copytree(stopped / "left", tmp_path / "run")
  _flip(_largest(tmp_path / "run" / "checkpoints" / "3"))
  checkpoints = Checkpointer(str(tmp_path / "run"), config.Checkpoint())
  with pytest.raises(ConfigError, match=r"checkpoint 3 in .* checksum .*: take another one"):
    checkpoints.saved(3)
  assert checkpoints.saved(2)["params"]
  checkpoints.close()


@pytest.mark.fault(6)
def test_a_checkpoint_of_another_model_is_refused_and_left(tmp_path):
  def state(width):
    return init_state({"a": np.ones((2, width)), "b": np.ones(3)}, optax.identity())

  checkpoints = Checkpointer(str(tmp_path), config.Checkpoint())
  checkpoints.save(1, state(4), None)
  checkpoints.close()
  checkpoints = Checkpointer(str(tmp_path), config.Checkpoint())
  with pytest.raises(ConfigError, match=r"another model .*params.a is \(2, 4\), not \(2, 5\)"):
    checkpoints.restore(1, state(5))
  np.testing.assert_array_equal(checkpoints.restore(1, state(4)).params["a"], np.ones((2, 4)))
  checkpoints.close()


@pytest.mark.fault(3)
def test_what_has_no_room_is_not_begun(tmp_path):
  class Huge:
    nbytes = 10**18

  said = pytest.raises(RuntimeError, match=r"^it needs 1,000,000,000,000,000,000 bytes in .* free")
  with said, writing(str(tmp_path), "it", [Huge()]):
    pytest.fail("begun")


_FULL = """
import sys
from tests.faults import mounts
from tests.run import stages_test
whole = stages_test.experiment({"rl": stages_test._grpo(steps=60)})
whole.checkpoint = stages_test.config.Checkpoint(every=1, keep=100)
try:
  stages_test.loop.run(whole, sys.argv[1], say=lambda _: None)
except RuntimeError as error:
  print("said:", error)
else:
  print("said: nothing")
"""


@pytest.mark.fault(3)
def test_a_full_disk_stops_the_run_with_a_line_and_earlier_checkpoints_are_whole(tmp_path):
  """On a file system of its own, which fills up."""
  run = f"{tmp_path}/run"
  script = mounts.small(tmp_path, "400k") + f" {sys.executable} -c '{_FULL}' {run};"
  script += f" ls {run}/checkpoints; {sys.executable} -c '{_CHECK}' {run}"
  found = mounts.run(script, cwd=_ROOT)
  assert "said: " in found.stdout, found.stderr
  said, *rest = found.stdout.splitlines()
  assert "the same command resumes" in said, found.stdout
  assert rest[-1] == "whole", found.stdout


_CHECK = """
import os, sys
from grpo_jax.run.seal import broken
root = os.path.join(sys.argv[1], "checkpoints")
known = [n for n in os.listdir(root) if n.isdigit()]
found = [broken(os.path.join(root, n)) for n in known]
print("whole" if known and not any(found) else found)
"""


def test_of_a_library_s_error_the_system_s_word_is_told(tmp_path):
  """As TensorStore has it: the arrays' metadata come last, and say nothing."""
  text = "Error writing a/b [os_error_code='27'] " + "{metadata} " * 50
  told = pytest.raises(RuntimeError, match=r"are free: File too large; earlier ones")
  with told, writing(str(tmp_path), "checkpoint 7", None):
    raise ValueError(text)
