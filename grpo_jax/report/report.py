"""Reads what was found, says it in lines and writes it as a page."""

import os
from collections.abc import Sequence

from grpo_jax.config import ConfigError
from grpo_jax.report import plain, study, tables
from grpo_jax.report.found import Found
from grpo_jax.report.page import page
from grpo_jax.report.scaling import Scaling, orders, scalings

_BEST = 10  # rows on the console


def report(
  paths: Sequence[str],
  *,
  storage: str = "",
  name: str = "",
  compute: str = "steps",
  figure: str = "",
  out: str = "",
) -> list[str]:
  """The lines for the console; report.html is written on the way.

  Args:
    paths: the folder of a sweep; else run folders, or folders that hold some.
    storage, name: the database of the study and its name there; "" for study.journal in the folder.
    compute: a name in `runs.UNITS`.
    figure: the objective of plain runs; "" for eval/accuracy.
    out: the page; "" for report.html in the folder that all paths share.

  Raises:
    ConfigError: something is missing, in one line.
  """
  found = _read(list(paths), storage, name, compute, figure)
  rows = scalings(found)
  out = out or os.path.join(_shared(paths), "report.html")
  text = page(found, rows)
  try:
    with open(out, "w", encoding="utf-8") as file:
      file.write(text)
  except OSError as error:
    raise ConfigError(f"--out={out}: {error.strerror}") from error
  return [*_lines(found, rows), "", f"page  {out}"]


def _read(paths: list[str], storage: str, name: str, compute: str, figure: str) -> Found:
  if not paths:
    raise ConfigError("name the folder of a sweep, or run folders: experiments.report FOLDER")
  for path in paths:
    if not os.path.isdir(path):
      what = "is a file, not a folder" if os.path.exists(path) else "there is no such folder"
      raise ConfigError(f"{path}: {what}")
  journal = os.path.exists(os.path.join(paths[0], study.JOURNAL))
  if not storage and not journal:
    if any(os.path.isdir(os.path.join(paths[0], part)) for part in ("trials", "populations")):
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
