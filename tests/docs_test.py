"""What the pages say is run: every example, every command's flags, and the README in Chinese."""

import ast
import contextlib
import doctest
import importlib
import importlib.util
import pathlib
import re
import shlex
import sys
import types

import pytest

from grpo_jax import config
from grpo_jax.config.fields import children
from grpo_jax.losses import objectives
from grpo_jax.run import arguments
from grpo_jax.run.checks import check_rewards

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_DOCS = _ROOT / "docs"
_PAGES = sorted(path.relative_to(_ROOT).as_posix() for path in _DOCS.rglob("*.md"))
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _text(page: str) -> str:
  return (_ROOT / page).read_text(encoding="utf-8")


def _blocks(page: str, *languages: str) -> list[str]:
  return [body for language, body in _FENCED.findall(_text(page)) if language in languages]


@pytest.mark.parametrize("page", [page for page in _PAGES if ">>>" in _text(page)])
def test_sessions_print_what_they_say(page):
  found = doctest.testfile(
    str(_ROOT / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
  )
  assert found.attempted > 0
  assert found.failed == 0


@pytest.mark.parametrize(
  "page", [page for page in _PAGES if any(">>>" not in b for b in _blocks(page, "python"))]
)
def test_examples_run_in_their_order(page, tmp_path, monkeypatch):
  """A block whose first line is "# name.py" is that file; the others are executed."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setattr(sys, "modules", dict(sys.modules))
  before = dict(objectives.OBJECTIVES)
  space: dict = {}
  for block in _blocks(page, "python"):
    if ">>>" in block:
      continue
    file = re.match(r"# (\w+\.py)\n", block)
    if file:
      (tmp_path / file[1]).write_text(block)
    else:
      exec(compile(block, page, "exec"), space)
  objectives.OBJECTIVES.clear()
  objectives.OBJECTIVES.update(before)
  if (tmp_path / "my_experiment.py").exists():
    experiment = importlib.import_module("my_experiment").get_config()
    config.check(experiment)
    check_rewards(experiment)


def _commands(page: str) -> list[list[str]]:
  """The project's own commands in a page's blocks of shell, as words: NAME, then its flags."""
  found = []
  for block in _blocks(page, "", "sh", "bash"):
    for line in block.replace("\\\n", " ").splitlines():
      asked = re.search(r"(?:experiments\.|grpo-)(\w+) (.*)", line)
      if asked and "--" in asked[2]:
        rest = asked[2].rstrip("& ")
        if rest.count("'") % 2:  # of a command in quotes
          rest = rest.removesuffix("'")
        found.append([asked[1], *shlex.split(rest, comments=True)])
  return found


_COMMANDS = [
  (page, command) for page in [*_PAGES, "README.md", "README.zh.md"] for command in _commands(page)
]


@pytest.mark.parametrize(("page", "command"), _COMMANDS)
def test_commands_have_flags_that_there_are(page, command, tmp_path, monkeypatch):
  source = _text(f"experiments/{command[0]}.py")
  known = set(re.findall(r"DEFINE_\w+\(\s*\"(\w+)\"", source))
  for word in command[1:]:
    flag = re.match(r"--(\w+)(?=$|=|\.)", word)
    assert flag, word
    assert flag[1] in known, word
  files = [word.removeprefix("--config=") for word in command if word.startswith("--config=")]
  if not files or files == ["my_experiment.py"]:
    return  # test_examples_run_in_their_order has that
  monkeypatch.chdir(tmp_path)
  path, chosen = arguments.config_file([f"--config={files[0]}"])
  experiment = arguments.experiment_of(path, chosen)
  for word in command[1:]:
    if word.startswith("--config."):
      _set(experiment, *word.removeprefix("--config.").split("=", 1))
  config.check(experiment)


def _set(experiment, path: str, value: str) -> None:
  *above, last = path.split(".")
  owner = experiment
  for name in above:
    owner = children(owner)[name]
  assert last in children(owner), path
  with contextlib.suppress(SyntaxError, ValueError):  # a word stays one
    value = ast.literal_eval(value)
  if isinstance(owner, dict):
    owner[last] = value
  else:
    setattr(owner, last, value)


def test_the_navigation_has_every_page():
  named = re.findall(r"[\w./]+\.md", _text("mkdocs.yml"))
  assert sorted(f"docs/{name}" for name in named) == _PAGES


@pytest.mark.parametrize("page", [page for page in _PAGES if page.startswith("docs/reference")])
def test_the_reference_names_modules_that_there_are(page):
  for module in re.findall(r"^::: (\S+)$", _text(page), re.MULTILINE):
    assert importlib.util.find_spec(module), module


def test_figures_are_drawn(tmp_path):
  space = _loaded("figures")
  space["draw"](str(tmp_path))
  drawn = sorted(path.name for path in tmp_path.iterdir())
  assert drawn == sorted(path.name for path in (_DOCS / "figures").glob("*.svg"))


def test_fields_of_a_docstring_are_a_list(monkeypatch):
  stub = types.ModuleType("griffe")
  stub.Extension = stub.Object = stub.Class = object  # type: ignore[attr-defined]
  monkeypatch.setitem(sys.modules, "griffe", stub)
  as_markdown = _loaded("docstrings")["as_markdown"]
  said = as_markdown(
    "What.\n\nlr, min_lr: both rates,\n  in all.\nsteps: how many.\n\nArgs:\n  x: y."
  )
  assert said == (
    "What.\n\n- `lr`, `min_lr`: both rates,\n  in all.\n- `steps`: how many.\n\nArgs:\n  x: y."
  )
  assert as_markdown("One: line.") == "One: line."
  assert as_markdown("A.\n\na: b. c: d") == "A.\n\n- `a`: b.\n- `c`: d"
  assert as_markdown("What.\nseed: that.") == "What.\n\n- `seed`: that."


def _loaded(tool: str) -> dict:
  space: dict = {"__name__": tool, "__file__": str(_DOCS / "tools" / f"{tool}.py")}
  exec(compile(_text(f"docs/tools/{tool}.py"), tool, "exec"), space)
  return space


def _figures(text: str) -> set[str]:
  return set(re.findall(r"(?<![\w.])\d+(?:\.\d+)*", text))


def _bare(block: str) -> list[str]:
  """A block's lines without what stands behind their commands."""
  return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


def test_the_chinese_readme_has_the_commands_and_figures_of_the_other():
  english, chinese = _text("README.md"), _text("README.zh.md")
  ours, theirs = (_FENCED.findall(text) for text in (english, chinese))
  assert len(ours) == len(theirs)
  for (_, own), (_, other) in zip(ours[:-1], theirs[:-1], strict=True):
    assert _bare(own) == _bare(other)
  # In the map: each file at the beginning of its line, and all that a line names.
  maps = [tree[-1][1].replace("README.zh.md", "README.md") for tree in (ours, theirs)]
  for form in (r"^ {0,4}([\w./]+(?:\.\w+|/)) {2}", r"\w+\.(?:py|md)"):
    first, second = (sorted(re.findall(form, text, re.MULTILINE)) for text in maps)
    assert first == second
  prose = [_FENCED.sub("", text) for text in (english, chinese)]
  assert _figures(prose[0]) <= _figures(prose[1])
  code = [set(re.findall(r"`[^`\n]+`", text)) for text in prose]
  assert code[0] <= code[1]
  assert "](README.zh.md)" in english
  assert "](README.md)" in chinese
