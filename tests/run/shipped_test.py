"""Shipped experiments by name, from any folder, and through the flags of every command."""

import os

import pytest

from grpo_jax.run import arguments, shipped

_TINY = os.path.join(shipped.FOLDER, "tiny_arithmetic.py")


@pytest.mark.parametrize(
  "name", ["tiny_arithmetic", "tiny_arithmetic.py", "experiments/configs/tiny_arithmetic.py"]
)
def test_one_rule_finds_it_from_any_folder(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert os.path.samefile(shipped.find(name), _TINY)


def test_a_file_that_is_there_comes_first(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / "tiny_arithmetic.py").write_text("")
  assert shipped.find("tiny_arithmetic.py") == "tiny_arithmetic.py"
  assert shipped.find("tiny_arithmetic") == _TINY


@pytest.mark.parametrize("name", ["other", "elsewhere/tiny_arithmetic.py", "__init__", ""])
def test_what_is_neither_stays_as_it_is(name, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert shipped.find(name) == name


def test_names_are_those_of_the_files():
  assert "qwen2.5_gsm8k" in shipped.names()
  assert "__init__" not in shipped.names()


@pytest.mark.parametrize(
  ("given", "variant"),
  [("variants", []), ("variants:dapo", ["dapo"]), ("variants.py:dapo", ["dapo"])],
)
def test_a_variant_is_asked_for_as_of_a_path(given, variant, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  found = os.path.join(shipped.FOLDER, "variants.py")
  assert arguments.config_file(["train", f"--config={given}"]) == (found, variant)


@pytest.mark.parametrize(
  "argv",
  [
    ["train", "--config=a", "--config.seed=1", "--config=b"],
    ["train", "--config=a", "--config.seed=1", "--config", "b"],
  ],
)
def test_the_last_path_is_replaced_and_overrides_are_not(argv):
  words = arguments.with_file(argv, "/x/b.py:dapo")
  assert words[1:3] == ["--config=a", "--config.seed=1"]
  assert words[-1].removeprefix("--config=") == "/x/b.py:dapo"


def test_an_unknown_name_lists_what_is_there(capsys):
  with pytest.raises(SystemExit):
    arguments.parse_flags(["train", "--config=tiny_arithmetics"])
  line = capsys.readouterr().err
  assert "--config=tiny_arithmetics: there is no such file" in line
  assert "smollm2_addition, tiny_arithmetic, variants" in line
