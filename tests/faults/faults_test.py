"""Every fault of the table has a test that injects it, and BUILD.md has every row."""

import ast
import pathlib
import re
import types

import pytest

from tests.faults import report
from tests.faults.table import ROWS

_ROOT = pathlib.Path(__file__).parents[2]


def _marked():
  """The numbers of all fault marks, by file."""
  for path in sorted((_ROOT / "tests").rglob("*_test.py")):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
      if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
        assert node.args, f"{path}:{node.lineno}: no row is named"
        for argument in node.args:
          yield f"{path.name}:{node.lineno}", ast.literal_eval(argument)


def test_every_row_has_a_test_and_every_mark_a_row():
  marked = list(_marked())
  assert [where for where, number in marked if number not in ROWS] == []
  assert ROWS.keys() == {number for _, number in marked}


def test_the_table_of_the_last_run_has_every_row():
  text = (_ROOT / "BUILD.md").read_text(encoding="utf-8")
  table = text.partition(report.BEGIN)[2].partition(report.END)[0]
  rows = [re.split(r" ?\| ?", line)[1:4] for line in table.splitlines()[3:]]
  assert rows == [[str(number), row.fault, row.answer] for number, row in ROWS.items()]


def _report(nodeid, outcome, rows, when="call"):
  return types.SimpleNamespace(
    nodeid=nodeid, outcome=outcome, when=when, user_properties=[("faults", rows)]
  )


def test_a_row_has_the_outcomes_of_all_its_tests():
  outcomes = report.Outcomes()
  for told in (
    _report("tests/run/a_test.py::one", "passed", [1], "setup"),
    _report("tests/run/a_test.py::one", "passed", [1]),
    _report("tests/run/b_test.py::two[x]", "failed", [1, 3]),
    _report("tests/run/b_test.py::three", "skipped", [3], "setup"),
  ):
    outcomes.pytest_runtest_logreport(told)
  lines = outcomes.table().splitlines()[2:]
  assert lines[0].endswith("| run/a, run/b | 1 passed, 1 failed |")
  assert lines[1].endswith("|  | not run |")
  assert lines[2].endswith("| run/b | 1 failed, 1 skipped |")


def test_the_table_is_put_where_it_was(tmp_path):
  path = tmp_path / "a.md"
  path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
  report.write(path, "new")
  assert path.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
  path.write_text("no place")
  with pytest.raises(ValueError, match="has no <!-- make test-faults"):
    report.write(path, "new")
