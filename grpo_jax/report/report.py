"""Reads what was found, says it in lines and writes it as a page: a sweep, several runs, or one."""

import contextlib
import os
from collections.abc import Sequence

from grpo_jax.config import ConfigError
from grpo_jax.report import plain, runs, study, tables
from grpo_jax.report.found import Found
from grpo_jax.report.page import page
from grpo_jax.report.run_folder import Diagnose, undiagnosed
from grpo_jax.report.run_report import NAME, run_report, write
from grpo_jax.report.scaling import Scaling, orders, scalings

_BEST = 10  # rows on the console
_OF_SWEEPS = ("trials", "populations")
_PAGES = 32  # runs side by side whose own pages are written too, where they have none


def report(
  paths: Sequence[str],
  *,
  storage: str = "",
  name: str = "",
  compute: str = "steps",
  figure: str = "",
  out: str = "",
  diagnose: Diagnose = undiagnosed,
) -> list[str]:
  """The lines for the console; report.html is written on the way.

  Of one run it is the page of that run. Several stand side by side, and each that has no page of
  its own gets one, unless they are many.

  Args:
    paths: the folder of a sweep; else run folders, or folders that hold some.
    storage, name: the database of the study and its name there; "" for study.journal in the folder.
    compute: a name in `runs.UNITS`.
    figure: the objective of plain runs; "" for eval/accuracy.
    out: the page; "" for report.html in the folder that all paths share.
    diagnose: what is wrong with the figures of a run.

  Raises:
    ConfigError: something is missing, in one line.
  """
  _check(list(paths))
  alone = _alone(paths, storage)
  if alone and compute != "steps":
    raise ConfigError(f"--compute={compute} is of several runs or a sweep: a run's page has steps")
  if alone:
    return run_report(alone, diagnose, figure=figure, out=out)
  found = _read(list(paths), storage, name, compute, figure)
  rows, shared = scalings(found), _shared(paths)
  out = out or os.path.join(shared, NAME)
  _own_pages(found, diagnose)
  write(out, page(found, rows, os.path.dirname(os.path.abspath(out))))
  return [*_lines(found, rows), "", f"page  {out}"]


def _check(paths: list[str]) -> None:
  if not paths:
    raise ConfigError("name the folder of a sweep, or run folders: experiments.report FOLDER")
  for path in paths:
    if not os.path.isdir(path):
      what = "is a file, not a folder" if os.path.exists(path) else "there is no such folder"
      raise ConfigError(f"{path}: {what}")


def _alone(paths: Sequence[str], storage: str) -> str:
  """The folder of the only run there is; "" of a sweep, and of several or none."""
  if storage or len(paths) != 1 or _has_study(paths[0]):
    return ""
  found = runs.find(list(paths))
  return found[0] if len(found) == 1 else ""


def _has_study(path: str) -> bool:
  return any(os.path.exists(os.path.join(path, part)) for part in (study.JOURNAL, *_OF_SWEEPS))


def _own_pages(found: Found, diagnose: Diagnose) -> None:
  """Those of plain runs that have none, where they can be written."""
  folders = [folder for one in found.settings for folder in one.folders]
  for folder in folders if len(folders) <= _PAGES else ():
    if not os.path.exists(os.path.join(folder, NAME)):
      with contextlib.suppress(ConfigError):  # of a folder that cannot be written there is no link
        run_report(folder, diagnose)


def _read(paths: list[str], storage: str, name: str, compute: str, figure: str) -> Found:
  journal = os.path.exists(os.path.join(paths[0], study.JOURNAL))
  if not storage and not journal:
    if any(os.path.isdir(os.path.join(paths[0], part)) for part in _OF_SWEEPS):
      raise ConfigError(
        f"{paths[0]} is of a sweep whose study is elsewhere: name its --storage=URL too"
      )
    return plain.read(paths, figure or "eval/accuracy", compute)
  if len(paths) > 1:
    raise ConfigError(f"{paths[0]} has a study: it is reported alone")
  if figure:
    raise ConfigError(f"--objective={figure}: {paths[0]} has a study, which names its own")
  return study.read(paths[0], storage, name, compute)


def _shared(paths: Sequence[str]) -> str:
  return paths[0] if len(paths) == 1 else os.path.commonpath([os.path.abspath(p) for p in paths])


def _lines(found: Found, rows: list[Scaling]) -> list[str]:
  order = found.best_first()
  lines = [f"{found.title}: {found.figure}, {'lower' if found.lower else 'higher'} is better"]
  lines += [_states(found), ""]
  if order:
    lines += ["best", *tables.text(tables.trials(found, order[:_BEST]))]
    lines += [f"  {line}" for line in [tables.unclear(found)] if line]
  ended = tables.ended(found)
  if len(ended) > 1:
    lines += ["", "failed and pruned", *tables.text(ended)]
  lines += ["", *_importances(found)]
  if rows:
    lines += ["", *_scaling(found, rows)]
  if order and order[0].command:
    lines += ["", f"the command of {order[0].name}", f"  {order[0].command}"]
  return lines


def _states(found: Found) -> str:
  states = [one.state for one in found.settings]
  counts = {state: states.count(state) for state in dict.fromkeys(states)}
  return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no trials yet"


def _importances(found: Found) -> list[str]:
  short = found.short()
  rows = [[short.get(path, path), f"{share:.3f}"] for path, share in found.importances.items()]
  return [f"importances: {found.importances_note}", *(tables.text(rows) if rows else [])]


def _scaling(found: Found, rows: list[Scaling]) -> list[str]:
  head, *body = tables.scaling(rows)
  sure = sum(not row.fit.doubt for row in rows)
  lines = [f"compute against performance, compute in {found.unit}"]
  lines += tables.text([head, *body[: min(sure, _BEST)]]) if sure else []
  for doubt in dict.fromkeys(row.fit.doubt for row in rows[sure:]):
    names = [row.setting.name for row in rows[sure:] if row.fit.doubt == doubt]
    lines.append(f"  not identified, {doubt}: {', '.join(names)}")
  for name, order in orders(rows).items():
    if order:
      lines.append(f"  by {name}: {', '.join(row.setting.name for row in order)}")
  return lines
