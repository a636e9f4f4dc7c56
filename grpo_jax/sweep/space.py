"""The text of a search space: FIELD=FUNCTION(...); ... -> a distribution for each field."""

import ast
import dataclasses
import difflib
import math
import re
from typing import Any

from grpo_jax.config import ConfigError

_FORMS = {
  "log": "log(low, high)",
  "uniform": "uniform(low, high) or uniform(low, high, step)",
  "int": "int(low, high) or int(low, high, step)",
  "logint": "logint(low, high)",
  "choice": "choice(value, value, ...)",
}
_ENTRY = re.compile(r"([\w.]+)\s*=\s*(\w+)\((.*)\)", re.DOTALL)
# A semicolon or a new line that no quotes are around.
_BETWEEN = re.compile(r"""[;\n](?=(?:[^'"]*(?:'[^']*'|"[^"]*"))*[^'"]*$)""")


@dataclasses.dataclass(frozen=True)
class Range:
  """Values of a field: `choices`, or from low to high; whole, by logarithm or in steps."""

  low: float = 0
  high: float = 0
  step: float | None = None
  whole: bool = False
  log: bool = False
  choices: tuple[Any, ...] = ()

  def suggest(self, trial: Any, path: str) -> Any:
    """The value that an Optuna trial gives the field."""
    if self.choices:
      return trial.suggest_categorical(path, self.choices)
    if self.whole:
      step = int(self.step or 1)
      return trial.suggest_int(path, int(self.low), int(self.high), step=step, log=self.log)
    return trial.suggest_float(path, self.low, self.high, step=self.step, log=self.log)

  def grid(self, path: str) -> list[Any]:
    """All values.

    Raises:
      ConfigError: they are not countable.
    """
    if self.choices:
      return list(self.choices)
    step = self.step or (1 if self.whole and not self.log else None)
    if step is None:
      raise ConfigError(
        f"--space: {path}: --sampler=grid needs steps, as in uniform(low, high, step), or choice"
      )
    count = round((self.high - self.low) / step) + 1
    values = [self.low + index * step for index in range(count)]
    return [int(value) for value in values] if self.whole else values


def parse(text: str) -> dict[str, Range]:
  """Fields with their ranges, in the order of the text.

  Args:
    text: "FIELD=FUNCTION(...); ...", with the functions log, uniform, int, logint and choice;
      entries may also stand on lines of their own. Words in choice need no quotes.

  Raises:
    ConfigError: one line that names the entry and what is wrong with it.
  """
  ranges: dict[str, Range] = {}
  for entry in filter(None, (part.strip() for part in _BETWEEN.split(text))):
    match = _ENTRY.fullmatch(entry)
    if match is None:
      raise ConfigError(
        f"--space: {entry!r} is not FIELD=FUNCTION(...), as in seed=int(0, 9); functions are"
        f" {', '.join(_FORMS)}"
      )
    path, function, arguments = match.groups()
    path = path.removeprefix("config.")
    if path in ranges:
      raise ConfigError(f"--space: {path} is there twice")
    try:
      ranges[path] = _range(function, _values(arguments))
    except ValueError as error:
      raise ConfigError(f"--space: {entry}: {error}") from None
  if not ranges:
    raise ConfigError("--space is empty: name a field, as in --space='seed=int(0, 9)'")
  return ranges


def _values(text: str) -> list[Any]:
  try:
    call = ast.parse(f"f({text.strip()})", mode="eval").body
    assert isinstance(call, ast.Call)
    if call.keywords:
      raise ValueError("arguments have no names")
    return [_value(node) for node in call.args]
  except (SyntaxError, AssertionError):
    hint = ": entries are separated by ;" if "=" in text else ""
    raise ValueError(f"the arguments {text!r} cannot be read{hint}") from None


def _value(node: ast.expr) -> Any:
  if isinstance(node, ast.Name):
    return node.id
  try:
    value = ast.literal_eval(node)
  except (ValueError, TypeError):
    value = None
  if not isinstance(value, (bool, int, float, str)):
    raise ValueError(f"{ast.unparse(node)} is no number, word, True or False")
  return value


def _range(function: str, values: list[Any]) -> Range:
  """Raises ValueError: what is wrong with them."""
  if function not in _FORMS:
    near = difflib.get_close_matches(function, _FORMS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_FORMS)}"
    raise ValueError(f"there is no function {function!r}: {hint}")
  if function == "choice":
    return _choice(values)
  numbers = [v for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
  if len(numbers) != len(values) or not 2 <= len(values) <= 2 + (function in ("uniform", "int")):
    raise ValueError(f"the form is {_FORMS[function]}, of numbers")
  step = numbers[2] if len(numbers) > 2 else None
  return _interval(numbers[0], numbers[1], step, "int" in function, "log" in function)


def _interval(low: float, high: float, step: float | None, whole: bool, log: bool) -> Range:
  numbers = [low, high] if step is None else [low, high, step]
  if not all(math.isfinite(number) for number in numbers):
    raise ValueError("its numbers must be finite")
  if whole and not all(isinstance(number, int) for number in numbers):
    raise ValueError("its numbers must be whole")
  if not low < high:
    raise ValueError(f"low must be below high, not {low} and {high}")
  if log and low <= 0:
    raise ValueError(f"low must be above 0, not {low}")
  if step is None:
    return Range(low, high, None, whole, log)
  if not 0 < step <= high - low:
    raise ValueError(f"step must be above 0 and at most {high - low}, not {step}")
  # The last that steps reach; rounding keeps 0.1 + 9 * 0.1 from being a little more than 1.
  count = math.floor((high - low) / step + 1e-9)
  return Range(low, min(high, low + count * step), step, whole, log)


def _choice(values: list[Any]) -> Range:
  if not values:
    raise ValueError(f"the form is {_FORMS['choice']}")
  if len({(type(value), value) for value in values}) < len(values):
    raise ValueError("a value is there twice")
  return Range(choices=tuple(values))
