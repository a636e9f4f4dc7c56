"""A pytest plugin: what became of each row of the table, as Markdown (`make test-faults`)."""

import collections
import pathlib
import re

import pytest

from tests.faults.table import ROWS

BEGIN, END = "<!-- make test-faults -->", "<!-- end -->"
_HEAD = ("| # | fault | what happens | tests | result |", "| --- | --- | --- | --- | --- |")
_KINDS = ("passed", "failed", "skipped")


def pytest_addoption(parser):
  parser.addoption("--fault-table", default="", help="a Markdown file that has the table in it")


def pytest_itemcollected(item):
  """Its rows go with its report, from another process too."""
  rows = [number for mark in item.iter_markers("fault") for number in mark.args]
  item.user_properties.append(("faults", rows))


class Outcomes:
  """What became of the tests of each row: files, and counts of passed, failed, skipped."""

  def __init__(self):
    self.files = collections.defaultdict(set)
    self.counts = collections.defaultdict(collections.Counter)

  def pytest_runtest_logreport(self, report):
    """Of a test that passed its call alone, of others the phase in which they did not."""
    if report.when != "call" and report.outcome == "passed":
      return
    for number in dict(report.user_properties).get("faults", ()):
      self.files[number].add(_short(report.nodeid))
      self.counts[number][report.outcome] += 1

  def table(self):
    """The rows as they were, in Markdown."""
    lines = [
      f"| {number} | {row.fault} | {row.answer} | {', '.join(sorted(self.files[number]))}"
      f" | {self._result(number)} |"
      for number, row in ROWS.items()
    ]
    return "\n".join([*_HEAD, *lines])

  def _result(self, number):
    counts = self.counts[number]
    return ", ".join(f"{counts[kind]} {kind}" for kind in _KINDS if counts[kind]) or "not run"

  def pytest_terminal_summary(self, terminalreporter, config):
    table = self.table()
    terminalreporter.write_line(table)
    if path := config.getoption("--fault-table"):
      write(pathlib.Path(path), table)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
  if not hasattr(config, "workerinput"):  # in the process that hears of all
    config.pluginmanager.register(Outcomes(), "fault-outcomes")


def write(path, table):
  """Puts the table between its two lines of a file."""
  before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
  _, end, after = rest.partition(END)
  if not (begin and end):
    raise ValueError(f"{path} has no {BEGIN} ... {END}")
  path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def _short(nodeid):
  """tests/run/loop_test.py::test -> run/loop"""
  return re.sub(r"^tests/|_test$", "", nodeid.partition("::")[0].removesuffix(".py"))
