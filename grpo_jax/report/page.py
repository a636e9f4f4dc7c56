"""The report as one HTML file that needs nothing else, no network either."""

import html
import json
from collections.abc import Sequence
from typing import Any

from grpo_jax.report import assets, figures, tables
from grpo_jax.report.extra import load
from grpo_jax.report.found import Found
from grpo_jax.report.scaling import Scaling

_BEST = 15  # rows of the table that are not folded away
_LONG = 40  # characters from which a cell may break


def page(found: Found, rows: Sequence[Scaling]) -> str:
  """The whole file."""
  drawn: dict[str, figures.Figure] = {}
  parts = [*_best(found), *_curves(found, drawn), *_scaling(found, rows, drawn)]
  parts += [*_importances(found, drawn), *_parallel(found, drawn), *_slices(found, drawn)]
  parts += _ended(found)
  plotly = load("plotly.offline", "a page").get_plotlyjs()
  # A tag that a name or a reason may hold must not end the script.
  specs = json.dumps(drawn, default=float, allow_nan=False).replace("<", "\\u003c")
  return "\n".join([
    "<!doctype html>", '<html lang="en">', '<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    f"<title>{html.escape(found.title)}</title>", '<link rel="icon" href="data:,">',
    f"<style>{assets.STYLE}</style></head>", "<body>", *parts,
    f'<script type="application/json" id="figures">{specs}</script>',
    f"<script>{plotly}</script>", f"<script>{assets.SCRIPT}</script>", "</body></html>", "",
  ])  # fmt: skip


def _best(found: Found) -> list[str]:
  order = found.best_first()
  count = "no setting is" if not order else f"{len(order)} of {len(found.settings)} settings are"
  goal = "lower" if found.lower else "higher"
  parts = [
    f"<h1>{html.escape(found.title)}</h1>",
    _says(f"{found.figure}, {goal} is better. {count} complete. ± is half of a 95 % interval."),
  ]
  if not order:
    return parts
  rows = tables.trials(found, order)
  parts += ["<h2>Best</h2>", *_folded(rows, _BEST, "others")]
  near = tables.unclear(found)
  return parts + ([_says(near)] if near else []) + _command(order[0].name, order[0].command)


def _command(name: str, command: str) -> list[str]:
  if not command:
    return []
  button = '<button type="button">Copy</button>'
  return [
    f"<h2>The command of {html.escape(name)}</h2>",
    f'<div class="command"><pre>{html.escape(command)}</pre>{button}</div>',
  ]


def _curves(found: Found, drawn: dict[str, Any]) -> list[str]:
  if not any(one.curves for one in found.settings):
    return ["<h2>Curves</h2>", _says("No run folder with the objective was found.")]
  drawn["curves"] = figures.curves(found)
  note = "Thin lines are seeds, thick ones their mean; compute is that of the final stage."
  return ["<h2>Curves</h2>", _says(note), _figure("curves")]


def _scaling(found: Found, rows: Sequence[Scaling], drawn: dict[str, Any]) -> list[str]:
  if not rows:
    return []
  parts = [
    "<h2>Compute against performance</h2>",
    _says(
      "R(C) = R_0 + (A - R_0) / (1 + (C_mid / C)^B), Khatri et al. 2025: ceiling A, efficiency B, "
      f"C_mid the {found.unit} that buy half of the gain; in brackets 95 % by bootstrap. The last "
      "columns: the curve fitted to the first half of the evaluations, its root mean square error "
      "on the second, that of staying as it is, and predicted minus seen at the end."
    ),
  ]
  if any(not row.fit.doubt for row in rows):
    drawn["fits"] = figures.fits(found, rows)
    parts.append(_figure("fits"))
  table = tables.scaling(rows)
  sure = sum(not row.fit.doubt for row in rows)
  return [*parts, *_folded(table, sure or _BEST, "not identified" if sure else "others")]


def _importances(found: Found, drawn: dict[str, Any]) -> list[str]:
  parts = ["<h2>Importances</h2>", _says(found.importances_note)]
  if found.importances:
    drawn["importances"] = figures.importances(found)
    height = 80 + 34 * len(found.importances)
    parts.append(_figure("importances", f"height:{height}px"))
  return parts


def _parallel(found: Found, drawn: dict[str, Any]) -> list[str]:
  spec = figures.parallel(found)
  if spec is None:
    return []
  drawn["parallel"] = spec
  width = 110 * len(spec["data"][0]["dimensions"])
  box = _figure("parallel", f"min-width:{width}px;height:360px")
  return ["<h2>Parallel coordinates</h2>", f'<div class="wide">{box}</div>']


def _slices(found: Found, drawn: dict[str, Any]) -> list[str]:
  names = {f"slice{place}": spec for place, spec in enumerate(figures.slices(found))}
  drawn |= names
  boxes = "".join(_figure(name) for name in names)
  return ["<h2>Slices</h2>", f'<div class="grid">{boxes}</div>'] if names else []


def _ended(found: Found) -> list[str]:
  rows = tables.ended(found)
  return ["<h2>Failed and pruned</h2>", _table(rows)] if len(rows) > 1 else []


def _figure(name: str, style: str = "") -> str:
  return f'<div class="figure" id="{name}" style="{style}"></div>'


def _says(line: str) -> str:
  return f"<p>{html.escape(line)}</p>"


def _folded(rows: tables.Rows, shown: int, rest: str) -> list[str]:
  """The table's head and first rows; a fold with the others."""
  head, *body = rows
  parts = [_table([head, *body[:shown]])]
  if len(body) > shown:
    table = _table([head, *body[shown:]])
    parts.append(f"<details><summary>{len(body) - shown} {rest}</summary>{table}</details>")
  return parts


def _table(rows: tables.Rows) -> str:
  head = "".join(f"<th>{html.escape(cell)}</th>" for cell in rows[0])
  body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[1:])
  table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
  return f'<div class="wide">{table}</div>'


def _cell(cell: str) -> str:
  kind = ' class="long"' if len(cell) > _LONG else ""
  return f"<td{kind}>{html.escape(cell)}</td>"
