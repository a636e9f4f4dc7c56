"""What `import grpo_jax` gives: the same names to programs and to readers of types, and lightly."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

import grpo_jax

_SOURCE = pathlib.Path(grpo_jax.__file__)
_ROOT = str(_SOURCE.parents[1])


def _typed():
  """name -> (module, its name there) of the imports that only readers of types see."""
  (block,) = [n for n in ast.parse(_SOURCE.read_text()).body if isinstance(n, ast.If)]
  return {
    alias.asname: (node.module, alias.name)
    for node in block.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
  }


def test_both_lists_have_the_same_names():
  assert {name: f"grpo_jax.{place}" for name, place in grpo_jax._PLACE.items()} == {
    name: module for name, (module, _) in _typed().items()
  }
  assert all(name == own for name, (_, own) in _typed().items())


@pytest.mark.parametrize("name", sorted(grpo_jax._PLACE))
def test_each_name_is_there(name):
  assert getattr(grpo_jax, name) is getattr(
    importlib.import_module(f"grpo_jax.{grpo_jax._PLACE[name]}"), name
  )
  assert name in dir(grpo_jax)


def test_what_is_not_there_is_an_attribute_error():
  with pytest.raises(AttributeError, match="has no attribute 'group_advantage'"):
    grpo_jax.group_advantage  # noqa: B018
  with pytest.raises(ImportError):
    exec("from grpo_jax import nothing")


@pytest.mark.parametrize(
  ("line", "absent"),
  [
    ("import grpo_jax", ("jax", "numpy", "grpo_jax.config")),
    ("from grpo_jax import config, preset, GRPO, ConfigError", ("jax",)),
    ("from grpo_jax import pass_at_k", ("jax",)),
    ("from grpo_jax import group_advantages, policy_loss", ("orbax", "grpo_jax.run")),
  ],
)
def test_nothing_is_imported_before_it_is_asked_for(line, absent):
  code = f"{line}\nimport sys\nassert not {{*{absent!r}}} & set(sys.modules)"
  subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True)
