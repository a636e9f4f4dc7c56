"""Programs written by a model, judged by what their functions return."""

import math
import re
from collections.abc import Mapping
from typing import Any

from grpo_jax.sandbox.judge import run_python
from grpo_jax.sandbox.unit_tests import read_tests

_OPENING = re.compile(r"^[ \t]*```python[ \t]*$", re.MULTILINE)
_CLOSING = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9


def unit_tests(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """The share of fields["tests"] that the program in the completion passes, in [0, 1].

  The program is what stands in the last ```python block, to its ``` or to the end where it was cut
  off; the whole completion where there is no such block. It is loaded once, contained
  (`sandbox.judge`), and each test calls one of its functions. A test is passed where the function
  returns what is expected, see `same`: what it prints, raises or exits with is no pass. Tests share
  one process and the limits of `Limits()`; where the process ended before all were answered, by a
  limit, a crash or an exit, the answer is worth 0, whatever passed before.

  Args:
    prompt: not read.
    completion: what the model wrote.
    fields: "tests" is a list, or its JSON, of {"call": name, "args": [...], "expected": value}, of
      JSON values. The model's program sees names and arguments, never what is expected.

  Raises:
    ValueError: one line that names the part of fields["tests"] that cannot be used.
    SandboxError: programs cannot be contained on this machine.
  """
  tests = read_tests(fields)
  outcomes = run_python(program(completion), tests)
  if any(outcome.ended for outcome in outcomes):
    return 0.0
  pairs = zip(outcomes, tests, strict=True)
  passed = sum(o.kind == "value" and same(o.value, test["expected"]) for o, test in pairs)
  return passed / len(tests)


def program(completion: str) -> str:
  """The text of the last ```python block, without its fence; all where there is none."""
  openings = list(_OPENING.finditer(completion))
  if not openings:
    return completion
  start = openings[-1].end()
  closing = _CLOSING.search(completion, start)
  return completion[start : closing.start() if closing else len(completion)]


def same(value: Any, expected: Any) -> bool:
  """Whether two JSON values are equal.

  Numbers are where both are ints and equal, or within 1e-6 of the larger or 1e-9; true and 1 are
  not. Lists are by their elements in order, objects by their keys. NaN equals nothing.
  """
  if _is_number(value) and _is_number(expected):
    return _same_number(value, expected)
  if type(value) is not type(expected):
    return False
  if isinstance(value, list):
    return len(value) == len(expected) and all(map(same, value, expected))
  if isinstance(value, dict):
    return value.keys() == expected.keys() and all(same(value[k], expected[k]) for k in expected)
  return value == expected


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _same_number(value: float, expected: float) -> bool:
  if isinstance(value, int) and isinstance(expected, int):
    return value == expected
  try:
    return math.isclose(value, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
  except OverflowError:  # an int beyond any float
    return False
