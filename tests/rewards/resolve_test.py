"""From a name to a reward: built in, or in a file of one's own."""

import importlib
import re
import subprocess
import sys

import pytest

from grpo_jax.config import ConfigError
from grpo_jax.rewards import REWARDS, resolve

_OWN = "def own(prompt, completion, fields):\n  return {worth}\n"


def _refused(name):
  with pytest.raises(ConfigError) as error:
    resolve(name)
  assert "\n" not in str(error.value)
  return str(error.value)


def test_every_built_in_reward_has_its_name():
  assert {name: resolve(name) for name in REWARDS} == REWARDS


@pytest.mark.parametrize("name", sorted(REWARDS))
def test_a_misspelt_name_suggests_the_nearest(name):
  line = _refused(name[:-1] + "_")
  assert f"did you mean {name!r}?" in line


def test_a_name_like_none_lists_all():
  line = _refused("zzzzzz")
  assert "did you mean" not in line
  assert all(name in line for name in REWARDS)
  assert "file.py:function" in line


def test_a_function_in_a_file_by_its_path(tmp_path, monkeypatch):
  (tmp_path / "own.py").write_text(_OWN.format(worth=0.25))
  assert resolve(f"{tmp_path}/own.py:own")("", "", {}) == 0.25
  monkeypatch.chdir(tmp_path)
  assert resolve("own.py:own")("", "", {}) == 0.25


def test_files_of_one_name_in_two_folders_are_two(tmp_path):
  for folder, worth in (("a", 1), ("b", 2)):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "own.py").write_text(_OWN.format(worth=worth))
  assert resolve(f"{tmp_path}/a/own.py:own")("", "", {}) == 1
  assert resolve(f"{tmp_path}/b/own.py:own")("", "", {}) == 2


def test_a_file_named_as_a_module_hides_no_module(tmp_path):
  (tmp_path / "json.py").write_text(_OWN.format(worth=1))
  resolve(f"{tmp_path}/json.py:own")
  assert hasattr(importlib.import_module("json"), "loads")


def test_another_process_gives_the_module_the_same_name(tmp_path):
  """Or what one process pickles, another could not read."""
  (tmp_path / "own.py").write_text(_OWN.format(worth=1))
  name = f"{tmp_path}/own.py:own"
  code = "import sys; from grpo_jax.rewards import resolve; print(resolve(sys.argv[1]).__module__)"
  command = [sys.executable, "-c", code, name]
  output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
  assert output.strip() == resolve(name).__module__


@pytest.mark.parametrize(
  ("content", "said"),
  [
    (None, "there is no file"),
    ("def other(): pass", "has no function 'own'"),
    ("def own(prompt, completion): pass", "it is called as (prompt, completion, fields): too many"),
    ("own = 1", "has no function 'own'"),
    ("def own(:", "fails on import: SyntaxError"),
    ("import nowhere_at_all", "fails on import: ModuleNotFoundError: No module named"),
    ("raise ValueError('one\\ntwo')", "fails on import: ValueError: one two"),
    ("raise SystemExit(0)", "fails on import: SystemExit"),
  ],
)
def test_what_cannot_be_loaded_is_one_line(tmp_path, content, said):
  if content is not None:
    (tmp_path / "own.py").write_text(content)
  line = _refused(f"{tmp_path}/own.py:own")
  assert said in line
  assert "own.py" in line


def test_a_file_that_was_mended_is_loaded_anew(tmp_path):
  path = tmp_path / "own.py"
  path.write_text("import nowhere_at_all")
  _refused(f"{path}:own")
  path.write_text(_OWN.format(worth=1))
  assert resolve(f"{path}:own")("", "", {}) == 1


@pytest.mark.parametrize("name", ["", ":", "own.py:", ":own", "own.txt:own", "number:"])
def test_half_a_name_is_refused(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "own.py").write_text(_OWN.format(worth=1))
  assert re.match(r"(no )?reward", _refused(name))
