"""Tests of a program, as data."""

import json
from collections.abc import Mapping
from typing import Any

_KEYS = {"call", "args", "expected"}


def read_tests(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
  """fields["tests"], a list or its JSON.

  Raises:
    ValueError: one line that names the part that cannot be used.
  """
  tests = fields.get("tests")
  if isinstance(tests, str):
    try:
      tests = json.loads(tests)
    except ValueError as error:
      raise ValueError(f"fields['tests'] is no JSON: {error}") from error
  if not isinstance(tests, list) or not tests:
    raise ValueError(f"fields['tests']: expected a list of at least one test, got {_shown(tests)}")
  for at, test in enumerate(tests):
    _check_test(f"fields['tests'][{at}]", test)
  return tests


def _check_test(where: str, test: Any) -> None:
  if not isinstance(test, dict) or test.keys() != _KEYS:
    raise ValueError(f"{where}: expected an object of call, args and expected, got {_shown(test)}")
  if not isinstance(test["call"], str) or not test["call"].isidentifier():
    raise ValueError(f"{where}['call']: expected a function's name, got {_shown(test['call'])}")
  if not isinstance(test["args"], list):
    raise ValueError(f"{where}['args']: expected a list, got {_shown(test['args'])}")


def _shown(value: Any) -> str:
  return " ".join(repr(value).split())[:60]
