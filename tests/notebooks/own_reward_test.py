"""The notebook runs from top to bottom in a kernel of its own, and learns."""

import pathlib
import re

import nbclient
import nbformat

from tests import quick

_PATH = pathlib.Path(__file__).resolve().parents[2] / "notebooks" / "own_reward.ipynb"


def _code(notebook):
  return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_runs_and_the_reward_rises(tmp_path, monkeypatch):
  for name, value in quick.FOR_PEOPLE.items():
    monkeypatch.setenv(name, value)
  notebook = nbformat.read(_PATH, as_version=4)
  assert all(not cell.outputs for cell in _code(notebook)), "commit it without outputs"
  lines = [line for cell in _code(notebook) for line in cell.source.splitlines() if line.strip()]
  assert len(lines) < 40
  resources = {"metadata": {"path": str(tmp_path)}}
  nbclient.NotebookClient(notebook, timeout=300, resources=resources).execute()
  said = "".join(
    output.text for cell in _code(notebook) for output in cell.outputs if "text" in output
  )
  first, last = map(float, re.search(r"share of vowels (\S+) -> (\S+)", said).groups())
  assert first < 0.2
  assert last > first + 0.25
  assert "image/png" in _code(notebook)[-1].outputs[-1].data
