"""The members of a population: their configs, and how each has ended."""

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from grpo_jax.config import ConfigError, Experiment, Population, check
from grpo_jax.config.fields import children, unknown_field
from grpo_jax.config.population import ARRAYS, split_path
from grpo_jax.config.values import value_at, with_values


@dataclasses.dataclass
class Result:
  """How a member has ended: `run.loop.run`'s figures, or in a line why it has failed."""

  figures: dict[str, float] = dataclasses.field(default_factory=dict)
  reason: str = ""


def set_population(experiment: Experiment, size: int | None, vary: str) -> None:
  """Sets experiment.population from flags.

  Args:
    experiment: not yet frozen.
    size: K; None leaves what the config has, or is as many members as `vary` has values.
    vary: "PATH=VALUE,VALUE,...; PATH=..."; empty leaves what the config has.

  Raises:
    ConfigError: a value is no number.
  """
  found: dict[str, tuple[float, ...]] = {}
  for entry in filter(None, (part.strip() for part in vary.split(";"))):
    path, _, values = entry.rpartition("=")
    if path.strip() in found:
      raise ConfigError(f"--vary: {path.strip()} is there twice")
    try:
      found[path.strip()] = tuple(float(value) for value in values.split(","))
    except ValueError as error:
      raise ConfigError(f"--vary: {entry!r}: expected PATH=NUMBER,NUMBER,... ({error})") from error
  if found:
    experiment.population.vary = found
    experiment.population.size = len(next(iter(found.values()))) if size is None else size
  elif size is not None:
    experiment.population.size = size


def make_members(experiment: Experiment) -> list[Experiment]:
  """The members' experiments: runs by themselves, of other numbers.

  Raises:
    ConfigError: the experiment or a member's cannot be run, or a field cannot vary.
  """
  check(experiment)
  population = experiment.population
  for path in population.vary:
    _check_path(experiment, path)
  found = []
  for member in range(population.size):
    values: dict[str, Any] = {path: own[member] for path, own in population.vary.items()}
    seed = int(values.pop("seed", experiment.seed + member))
    own = with_values(experiment, values | {"seed": seed, "population": Population()})
    try:
      check(own)
    except ConfigError as error:
      raise ConfigError(f"member {member} of {population.size}: {error}") from error
    found.append(own)
  return found


def varied_fields(population: Population) -> dict[str, tuple[str, ...]]:
  """By stage, the paths below its config whose values members vary."""
  found: dict[str, tuple[str, ...]] = {}
  for path in population.vary:
    if place := split_path(path):
      found[place[0]] = (*found.get(place[0], ()), place[1])
  return found


def _is_there(config: Any, path: str) -> bool:
  """Whether the config has such a field."""
  for name in path.split("."):
    if name not in children(config):
      return False
    config = children(config)[name]
  return True


def _check_path(experiment: Experiment, path: str) -> None:
  """Refuses a field that is not there, or that is no number in a compiled program."""
  if path == "seed":
    return
  owner, place = "config.population.vary", split_path(path)
  if place is None or place[0] not in experiment.stages:
    stages = [f"stages.{name}." for name in experiment.stages]
    raise ConfigError(unknown_field(owner, path, ["seed", *stages]))
  stage = experiment.stages[place[0]]
  rewards = [f"rewards.{name}" for name in getattr(stage, "rewards", {})]
  known = [name for name in ARRAYS if hasattr(stage, name.split(".")[0])] + rewards
  if place[1] not in known and _is_there(stage, place[1]):
    raise ConfigError(
      f"{owner}: {path} is the same for all members, who share one program: what may differ is"
      f" {', '.join(['seed', *known])}; for others, a sweep without --population"
    )
  if place[1] not in known:
    raise ConfigError(unknown_field(f"{owner}: stages.{place[0]}", place[1], known))
  if not isinstance(value_at(stage, place[1]), (int, float)):
    raise ConfigError(f"{owner}[{path!r}]: a Term, of which no number can vary")


def write_results(workdir: str, own: Sequence[Experiment], results: Sequence[Result]) -> None:
  """WORKDIR/population.json: each member's seed, figures and reason."""
  lines = [
    {"member": index, "seed": member.seed} | dataclasses.asdict(result)
    for index, (member, result) in enumerate(zip(own, results, strict=True))
  ]
  path = os.path.join(workdir, "population.json")
  with open(f"{path}.tmp", "w", encoding="utf-8") as file:
    json.dump(lines, file, indent=2)
  os.replace(f"{path}.tmp", path)


def table(
  population: Population, own: Sequence[Experiment], results: Sequence[Result]
) -> list[str]:
  """Lines: each member with what it varies and how it went, and the mean of all."""
  paths = [path for path in population.vary if path != "seed"]
  rows = [["member", "seed", *(path.removeprefix("stages.") for path in paths), "before", "after"]]
  for index, (member, result) in enumerate(zip(own, results, strict=True)):
    values = [f"{value_at(member, path):.3g}" for path in paths]
    ends = [result.figures.get(f"accuracy/{when}") for when in ("before", "after")]
    told = ["" if end is None else f"{end:.3f}" for end in ends]
    rows.append([str(index), str(member.seed), *values, *told])
  widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
  lines = ["  ".join(f"{x:>{w}}" for x, w in zip(row, widths, strict=True)) for row in rows]
  for index, result in enumerate(results):
    lines[index + 1] += f"  failed: {result.reason}" if result.reason else ""
  after = [r.figures["accuracy/after"] for r in results if "accuracy/after" in r.figures]
  if len(after) > 1:
    spread = f"{np.mean(after):.3f}, std {np.std(after, ddof=1):.3f}"
    lines.append(f"held-out accuracy {spread} over {len(after)} members")
  return lines
