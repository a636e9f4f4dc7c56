"""The folder of compiled programs: used, or one line."""

import warnings

import jax
import pytest

from grpo_jax.run.compiled import keep_compiled

_OPTIONS = (
  "jax_compilation_cache_dir",
  "jax_persistent_cache_min_compile_time_secs",
  "jax_enable_compilation_cache",
)


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
  before = {name: getattr(jax.config, name) for name in _OPTIONS}
  monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
  yield
  for name, value in before.items():
    jax.config.update(name, value)


def _kept(monkeypatch, folder):
  monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
  said = []
  keep_compiled(said.append)
  return said


def test_a_folder_that_can_be_written_needs_no_word(tmp_path, monkeypatch):
  assert _kept(monkeypatch, tmp_path / "new") == []
  assert jax.config.jax_compilation_cache_dir == str(tmp_path / "new")
  assert jax.config.jax_persistent_cache_min_compile_time_secs < 1


@pytest.mark.fault(38)
def test_one_that_cannot_be_is_said_and_nothing_is_written(tmp_path, monkeypatch):
  (tmp_path / "file").touch()
  (line,) = _kept(monkeypatch, tmp_path / "file" / "cache")
  assert line.startswith(f"warning: compiled programs are not kept: {tmp_path}/file/cache: Not a")
  assert jax.config.jax_persistent_cache_min_compile_time_secs == float("inf")
  assert not jax.config.jax_enable_compilation_cache
  assert _kept(monkeypatch, "gs://bucket/cache") == []


@pytest.mark.fault(38)
def test_of_many_programs_that_cannot_be_read_one_is_told(tmp_path, monkeypatch):
  said = _kept(monkeypatch, tmp_path)
  for name in ("a", "b"):
    text = f"Error reading persistent compilation cache entry for '{name}': ValueError: x\ny"
    warnings.showwarning(text, UserWarning, "compiler.py", 1)
  (line,) = said
  assert line.startswith("warning: Error reading persistent compilation cache entry for 'a': Val")
  assert line.endswith(f"compiled anew; if it stays so, remove {tmp_path}")
