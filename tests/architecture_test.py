"""The order of imports, and what pure modules may not touch."""

import ast
import pathlib

import pytest

_PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "grpo_jax"
# A module imports from its own level and from those before it.
_LEVELS = [
  {"types", "config"},
  {"sampling", "grouping", "losses", "schedules", "metrics", "optimizer"},
  {"model", "rollout", "logprobs"},
  {"steps"},
  {"parallel"},
  {"weights", "tasks", "rewards"},
  {"run"},
]
_LEVEL = {name: level for level, names in enumerate(_LEVELS) for name in names}
_IMPURE = {"absl", "orbax", "os", "time", "random", "subprocess", "logging"}
_EXTRAS = {"gguf", "tokenizers", "safetensors", "jinja2", "matplotlib", "tensorboardX"}
_FILES = sorted(
  path for path in _PACKAGE.rglob("*.py") if path.parent != _PACKAGE or path.stem != "__init__"
)


def _room(path: pathlib.Path) -> str:
  return path.relative_to(_PACKAGE).parts[0].removesuffix(".py")


def _imports(nodes) -> set[str]:
  """Dotted names imported by these nodes."""
  names = set()
  for node in nodes:
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      names |= {f"{node.module}.{alias.name}" for alias in node.names}
  return names


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_imports_go_one_way(path):
  level = _LEVEL[_room(path)]
  for name in _imports(ast.walk(ast.parse(path.read_text()))):
    parts = name.split(".")
    if parts[0] == "grpo_jax" and parts[1] in _LEVEL:
      assert _LEVEL[parts[1]] <= level, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_pure_modules_are_pure(path):
  if _LEVEL[_room(path)] > _LEVEL["steps"]:
    return
  tree = ast.parse(path.read_text())
  touched = {name.split(".")[0] for name in _imports(ast.walk(tree))}
  assert not touched & _IMPURE
  calls = {
    node.func.id
    for node in ast.walk(tree)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
  }
  assert not calls & {"print", "open", "input"}


@pytest.mark.parametrize("path", _FILES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_only_parallel_knows_of_devices_and_extras_are_imported_where_used(path):
  tree = ast.parse(path.read_text())
  if _room(path) != "parallel":
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not words & {"pmap", "Mesh", "NamedSharding", "PartitionSpec", "shard_map"}
  if path.name == "sandbox.py":
    return  # a program of its own, started where the extra is there
  top = {name.split(".")[0] for name in _imports(tree.body)}
  assert not top & _EXTRAS
