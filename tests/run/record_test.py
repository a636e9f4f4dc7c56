"""The run folder: one run at a time, of one config."""

import errno
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

from grpo_jax import config
from grpo_jax.run import lock, record
from grpo_jax.run.record import claim, moved
from tests.config.helpers import experiment
from tests.faults import mounts


def _refused(folder, run):
  with pytest.raises(config.ConfigError) as error:
    claim(str(folder), run).close()
  line = str(error.value)
  assert str(folder) in line
  assert "\n" not in line
  return line


def test_a_new_folder_says_what_ran_in_it(tmp_path):
  folder = tmp_path / "runs" / "first"
  claim(str(folder), experiment(seed=5)).close()
  record = json.loads((folder / "config.json").read_text())
  assert record["config"]["seed"] == 5
  assert record["config"]["stages"]["grpo"]["rollout"]["group_size"] == 8
  assert record["versions"]["numpy"][0].isdigit()
  assert record["versions"]["python"] == sys.version.split()[0]
  assert record["devices"]
  assert record["git_commit"]
  assert not (folder / "config.json.tmp").exists()


def test_the_same_config_resumes_and_leaves_the_record_alone(tmp_path):
  claim(str(tmp_path), experiment()).close()
  path = tmp_path / "config.json"
  record = json.loads(path.read_text()) | {"git_commit": "of the first start"}
  path.write_text(json.dumps(record))
  claim(str(tmp_path), experiment()).close()
  assert json.loads(path.read_text()) == record


@pytest.mark.fault(7)
def test_a_folder_is_one_run_s_until_its_process_ends(tmp_path):
  code = (
    "import sys; from grpo_jax.run.record import claim;"
    " from tests.config.helpers import experiment;"
    " lock = claim(sys.argv[1], experiment()); print('held', flush=True); sys.stdin.read()"
  )
  process = subprocess.Popen(
    [sys.executable, "-c", code, str(tmp_path)],
    cwd=pathlib.Path(__file__).parents[2],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout is not None
  assert process.stdout.readline() == "held\n"
  told = f"another run is using it (process {process.pid} on {socket.gethostname()}): wait for it"
  assert told in _refused(tmp_path, experiment())
  assert told in _refused(tmp_path, experiment())  # a look changes nothing
  process.kill()
  process.communicate()
  claim(str(tmp_path), experiment()).close()


@pytest.mark.fault(8)
@pytest.mark.parametrize(
  ("changed", "said"),
  [
    (experiment(seed=1), "config.seed was 0, now 1"),
    (experiment(config.GRPO(steps=7)), "config.stages.grpo.steps was 100, now 7"),
    (experiment(config.GRPO(rewards={"exact": 1.0})), "config.stages.grpo.rewards.exact was None"),
    (experiment(task=config.Addition(high=9)), "config.task.high was 99, now 9"),
  ],
)
def test_another_config_is_refused_by_its_fields(tmp_path, changed, said):
  claim(str(tmp_path), experiment()).close()
  line = _refused(tmp_path, changed)
  assert "holds a run of another config" in line
  assert said in line
  claim(str(tmp_path), experiment()).close()  # the lock was let go


@pytest.mark.fault(8)
def test_stages_in_another_order_are_another_config(tmp_path):
  stages = {"sft": config.SFT(), "grpo": config.GRPO()}
  claim(str(tmp_path), experiment(stages=stages)).close()
  line = _refused(tmp_path, experiment(stages=dict(reversed(stages.items()))))
  assert "config.stages was ['sft', 'grpo'], now ['grpo', 'sft']" in line


def test_many_changes_are_still_one_short_line(tmp_path):
  claim(str(tmp_path), experiment()).close()
  changed = experiment(
    config.GRPO(steps=1, minibatches=2, epochs=3, rewards={"exact": 2.0}), seed=9
  )
  assert _refused(tmp_path, changed).count("was") == 5


@pytest.mark.fault(4)
def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
  (tmp_path / "file").write_text("")
  assert "cannot be written" in _refused(tmp_path / "file" / "run", experiment())
  assert "cannot be written" in _refused(tmp_path / "file", experiment())


@pytest.mark.fault(4)
@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
  tmp_path.chmod(0o500)
  assert "cannot be written: Permission denied" in _refused(tmp_path, experiment())


_CLAIM = (
  "import sys; from grpo_jax.run.record import claim; from tests.config.helpers import experiment\n"
  "try: claim(sys.argv[1], experiment())\n"
  "except ValueError as error: print(error)"
)


@pytest.mark.fault(4)
@pytest.mark.parametrize("place", [".", "checkpoints"])
def test_a_file_system_that_cannot_be_written_is_refused(tmp_path, place):
  """Of a run that has begun; root may not write there either."""
  claim(str(tmp_path), experiment()).close()
  (tmp_path / "checkpoints").mkdir()
  script = mounts.read_only(tmp_path / place) + f" {sys.executable} -c '{_CLAIM}' {tmp_path}"
  done = mounts.run(script, cwd=pathlib.Path(__file__).parents[2])
  assert "cannot be written: Read-only file system" in done.stdout, done.stderr
  assert done.stdout.startswith(f"--workdir={tmp_path}: ")
  assert done.stdout.count("\n") == 1


@pytest.mark.fault(4)
def test_figures_that_cannot_be_added_to_are_refused(tmp_path):
  claim(str(tmp_path), experiment()).close()
  (tmp_path / "metrics.jsonl").mkdir()
  assert "metrics.jsonl cannot be written: Is a directory" in _refused(tmp_path, experiment())


@pytest.mark.fault(7)
def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, caplog):
  def without(*_):
    raise OSError(errno.ENOLCK, "No locks available")

  monkeypatch.setattr(lock.fcntl, "flock", without)
  claim(str(tmp_path), experiment()).close()
  assert "cannot be locked (No locks available): let no other run use it" in caplog.text


@pytest.mark.fault(8)
@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_record_that_cannot_be_read_is_one_line(tmp_path, content):
  (tmp_path / "config.json").write_text(content)
  assert "config.json cannot be read" in _refused(tmp_path, experiment())


@pytest.mark.fault(30)
def test_what_has_changed_since_a_run_began_is_said(tmp_path, monkeypatch):
  with claim(str(tmp_path), experiment()):
    assert moved(str(tmp_path)) == []
    monkeypatch.setenv("XLA_FLAGS_OF_ANOTHER_DAY", "1")
    monkeypatch.setattr(record.platform, "python_version", lambda: "4.0")
    found = moved(str(tmp_path))
  assert any("versions.python was" in line and "now '4.0'" in line for line in found)
  assert any("flags.XLA_FLAGS_OF_ANOTHER_DAY was None, now '1'" in line for line in found)
  assert all(line.endswith("figures may differ by rounding") for line in found)


def test_a_field_that_a_run_s_version_did_not_have_is_as_by_default(tmp_path):
  """A newer version resumes what an older one began."""
  claim(str(tmp_path), experiment()).close()
  path = tmp_path / "config.json"
  saved = json.loads(path.read_text())
  for stage in saved["config"]["stages"].values():
    del stage["max_nonfinite"]
  path.write_text(json.dumps(saved))

  claim(str(tmp_path), experiment()).close()
  other = experiment()
  next(iter(other.stages.values())).max_nonfinite = 5
  assert "max_nonfinite was 3, now 5" in _refused(tmp_path, other)
