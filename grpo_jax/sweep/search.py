"""The search space of a sweep: from --space or the file's get_space, checked before any trial."""

import ast
import dataclasses
import hashlib
import runpy
from collections.abc import Callable
from typing import Any

from grpo_jax.config import ConfigError, Experiment, check
from grpo_jax.sweep.extra import quiet_optuna
from grpo_jax.sweep.options import Options
from grpo_jax.sweep.point import place
from grpo_jax.sweep.space import Range, parse

_MOST_CORNERS = 200


@dataclasses.dataclass(frozen=True)
class Search:
  """suggest: Optuna trial -> values by path. text: what two workers compare. ranges: if known.

  note: a line about corners that contradict themselves, or empty.
  """

  suggest: Callable[[Any], dict[str, Any]]
  text: str
  ranges: dict[str, Range] = dataclasses.field(default_factory=dict)
  note: str = ""


def make_search(options: Options) -> Search:
  """The space that the options ask for, checked at its corners.

  Raises:
    ConfigError: one line: there is none, it cannot be read, a field of it is unknown or out of its
      range, or no corner of it can be run.
  """
  file, colon, _ = options.file.partition(".py:")
  search = _search(f"{file}.py" if colon else file, options.space)
  return dataclasses.replace(search, note=_check_corners(search, options.experiment))


def _search(file: str, space: str) -> Search:
  if space and space != "get_space":
    ranges = parse(space)
    text = "; ".join(f"{path}={found}" for path, found in sorted(ranges.items()))
    return Search(lambda trial: {p: r.suggest(trial, p) for p, r in ranges.items()}, text, ranges)
  function = runpy.run_path(file).get("get_space")
  if function is None:
    missing = f"--space={space}" if space else "--space is missing"
    raise ConfigError(
      f"{missing}: {file} has no function get_space(trial): write one, or name fields, as in"
      " --space='seed=int(0, 9)'"
    )
  return Search(lambda trial: _asked(function, trial, file), _fingerprint(file))


def _asked(function: Callable[[Any], Any], trial: Any, file: str) -> dict[str, Any]:
  """What get_space returns; an error in it is one line."""
  try:
    values = function(trial)
  except ConfigError:
    raise
  except Exception as error:
    raise ConfigError(f"get_space of {file}: {type(error).__name__}: {error}") from error
  if not isinstance(values, dict) or not values:
    raise ConfigError(f"get_space of {file} must return a dict of path -> value, not {values!r}")
  for path, value in values.items():
    if not isinstance(path, str) or not isinstance(value, (bool, int, float, str)):
      raise ConfigError(f"get_space of {file}: {path!r}: {value!r} is no number, word or truth")
  return {path.removeprefix("config."): value for path, value in values.items()}


def _fingerprint(file: str) -> str:
  """get_space by its code, without comments and layout."""
  with open(file, encoding="utf-8") as opened:
    tree = ast.parse(opened.read())
  found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "get_space"]
  code = hashlib.sha256("".join(map(ast.dump, found)).encode()).hexdigest()
  return f"get_space {code[:12]}"


def _check_corners(search: Search, experiment: Experiment) -> str:
  """Every field at its lowest, then each at its other ends alone, then all at their highest.

  Returns:
    A line about those that contradict themselves, which a search may want to leave out by itself.
  """
  ends: dict[str, int] = {}
  problems = [_check_corner(search, experiment, {}, ends)]
  # Fields that only show at another's value join as they are seen.
  tried: set[tuple[str, int]] = set()
  while len(tried) < _MOST_CORNERS:
    left = [(n, i) for n in ends for i in range(1, ends[n]) if (n, i) not in tried]
    if not left:
      break
    tried.add(left[0])
    problems.append(_check_corner(search, experiment, dict(left[:1]), ends))
  highest = {name: count - 1 for name, count in ends.items()}
  problems.append(_check_corner(search, experiment, highest, ends))
  found = [problem for problem in problems if problem]
  if len(found) == len(problems):
    raise ConfigError(f"the space: {found[0]}")
  count = f"{len(found)} of {len(problems)} corners of the space"
  return f"{count} cannot be run, and trials like them will fail: {found[0]}" if found else ""


def _check_corner(
  search: Search, experiment: Experiment, at: dict[str, int], ends: dict[str, int]
) -> str:
  """The contradiction of the point where each field is at its end at[name], else at its first."""
  optuna = quiet_optuna()

  class Corner(optuna.samplers.RandomSampler):  # type: ignore[name-defined, misc]
    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
      values = getattr(distribution, "choices", None) or (distribution.low, distribution.high)
      ends[name] = len(values)
      return values[at.get(name, 0)]

  study = optuna.create_study(sampler=Corner())
  values = search.suggest(study.ask())
  experiment = place(experiment, values)
  try:
    check(experiment)
  except ConfigError as error:
    point = ", ".join(f"{path}={value}" for path, value in values.items())
    if any(str(error).startswith(f"config.{path}=") for path in values):
      raise ConfigError(f"the space: {error} (at {point})") from None
    return f"{error} (at {point})"
  return ""
