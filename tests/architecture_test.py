"""The order of imports, and what pure modules may not touch."""

import ast
import pathlib
import re

import pytest

_PACKAGE = pathlib.Path(__file__).resolve().parents[1] / "grpo_jax"
# A module imports from its own level and from those before it.
_LEVELS = [
  {"types", "config"},
  {"sampling", "grouping", "shaping", "advantages", "losses", "schedules", "metrics", "optimizer"}
  | {"packing", "guard", "stop", "estimators"},
  {"model", "rollout", "streaming", "logprobs"},
  {"steps"},
  {"parallel", "plan", "isolated"},
  {"weights", "tasks", "rewards", "sandbox"},
  {"report"},
  {"run", "sweep"},
]
_LEVEL = {name: level for level, names in enumerate(_LEVELS) for name in names}
_IMPURE = {"absl", "orbax", "os", "io", "sys", "time", "random", "subprocess", "logging", "pathlib"}
_EXTRAS = {"gguf", "tokenizers", "safetensors", "jinja2", "matplotlib", "tensorboardX", "pyarrow"}
_EXTRAS |= {"optuna", "cmaes", "scipy", "submitit", "plotly", "pebble"}
_EXTRAS |= {"reasoning_gym", "math_verify", "rich", "wandb", "mlflow", "trackio"}
_DEVICES = re.compile(r"pmap|Mesh|sharding|shard_map|Sharding|PartitionSpec|make_mesh")
_PURE = {f"report/{name}.py" for name in ("sigmoid", "solver", "bootstrap", "halves")}
# Programs of their own, started only where the extra is there.
_PROGRAMS = {"weights/sandbox.py", "isolated/gym.py", "isolated/gym_maker.py", "isolated/maths.py"}
_FILES = sorted(
  path.relative_to(_PACKAGE).as_posix()
  for path in _PACKAGE.rglob("*.py")
  if path != _PACKAGE / "__init__.py"
)


def _tree(file: str) -> ast.Module:
  return ast.parse((_PACKAGE / file).read_text(encoding="utf-8"))


def _room(file: str) -> str:
  return file.split("/")[0].removesuffix(".py")


def _imports(nodes) -> set[str]:
  """Dotted names imported by these nodes; a relative one begins with a dot."""
  names = set()
  for node in nodes:
    if isinstance(node, ast.Import):
      names |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      start = "." * node.level + (node.module or "")
      names |= {f"{start}.{alias.name}" for alias in node.names}
  return names


def _on_import(node):
  """The nodes that run when the module is imported: what is in no function."""
  for child in ast.iter_child_nodes(node):
    if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
      yield child
      yield from _on_import(child)


def _out_of_order(tree, room: str) -> set[str]:
  wrong = set()
  for name in _imports(ast.walk(tree)):
    top, _, rest = name.partition(".")
    inside = rest.split(".")[0]
    if top == "grpo_jax" and inside in _LEVEL:
      wrong |= {name} if _LEVEL[inside] > _LEVEL[room] else set()
    elif top in ("", "experiments", "tests", "benchmarks"):
      wrong.add(name)
  return wrong


def _impure(tree) -> set[str]:
  """Imports and calls by which a function would depend on more than its arguments."""
  calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
  called = {function.id for function in calls if isinstance(function, ast.Name)}
  touched = {name.split(".")[0] for name in _imports(ast.walk(tree))}
  return (touched & _IMPURE) | (called & {"print", "open", "input"})


def _device_words(tree) -> set[str]:
  words = _imports(ast.walk(tree))
  words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
  words |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
  return {word for word in words if _DEVICES.search(word)}


def _eager_extras(tree) -> set[str]:
  return {name.split(".")[0] for name in _imports(_on_import(tree))} & _EXTRAS


@pytest.mark.parametrize("file", _FILES)
def test_imports_go_one_way(file):
  assert not _out_of_order(_tree(file), _room(file))


@pytest.mark.parametrize(
  "file",
  [f for f in _FILES if _LEVEL[_room(f)] <= _LEVEL["steps"] or _room(f) == "plan" or f in _PURE],
)
def test_pure_modules_are_pure(file):
  assert not _impure(_tree(file))


@pytest.mark.parametrize("file", [file for file in _FILES if _room(file) != "parallel"])
def test_only_parallel_knows_of_devices(file):
  assert not _device_words(_tree(file))


@pytest.mark.parametrize("file", [file for file in _FILES if file not in _PROGRAMS])
def test_extras_are_imported_where_they_are_used(file):
  assert not _eager_extras(_tree(file))


@pytest.mark.parametrize(
  "line",
  [
    "from grpo_jax import run",
    "from grpo_jax.run.writer import Writer",
    "import grpo_jax.weights.gguf",
    "def f():\n  from grpo_jax import tasks",
    "from . import run",
    "from experiments import train",
  ],
)
def test_a_breach_of_the_order_is_seen(line):
  assert _out_of_order(ast.parse(line), "steps")
  assert not _out_of_order(ast.parse("from grpo_jax import losses, types\nimport jax"), "steps")


@pytest.mark.parametrize(
  ("found", "line"),
  [
    (_impure, "import os.path"),
    (_impure, "from time import sleep"),
    (_impure, "def f():\n  print(1)"),
    (_device_words, "import jax.sharding as s"),
    (_device_words, "jax.pmap(f)"),
    (_device_words, "from jax.sharding import PartitionSpec as P"),
    (_device_words, "jax.lax.with_sharding_constraint(x)"),
    (_eager_extras, "try:\n  import gguf\nexcept ImportError:\n  pass"),
    (_eager_extras, "class A:\n  from jinja2 import Template"),
  ],
)
def test_other_breaches_are_seen(found, line):
  assert found(ast.parse(line))


def test_what_is_allowed_is_allowed():
  tree = ast.parse("import jax\njax.random.key(0)\ndef f():\n  import gguf\n  x.time()")
  assert not _impure(tree)
  assert not _device_words(tree)
  assert not _eager_extras(tree)
