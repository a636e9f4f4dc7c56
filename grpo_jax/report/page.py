"""The report of a sweep, or of several runs, as one HTML file that needs nothing else."""

from collections.abc import Sequence
from typing import Any

from grpo_jax.report import assets, beside, figures, html, tables
from grpo_jax.report.extra import load
from grpo_jax.report.found import Found
from grpo_jax.report.html import says
from grpo_jax.report.scaling import Scaling

_BEST = 15  # rows of the table that are not folded away


def page(found: Found, rows: Sequence[Scaling], folder: str = "") -> str:
  """The whole file; `folder` is where it will be, from which links to runs' own pages lead."""
  drawn: dict[str, figures.Figure] = {}
  parts = [*_best(found), *_differing(found), *_runs(found, folder), *_curves(found, drawn)]
  parts += [*_beside(found, drawn), *_scaling(found, rows, drawn), *_importances(found, drawn)]
  parts += [*_parallel(found, drawn), *_slices(found, drawn), *_ended(found)]
  plotly = load("plotly.offline", "a page").get_plotlyjs()
  parts += [html.data("figures", drawn), f"<script>{plotly}</script>"]
  parts.append(f"<script>{assets.static('sweep.js', 'copy.js')}</script>")
  return html.document(found.title, assets.static("page.css"), parts)


def _best(found: Found) -> list[str]:
  order = found.best_first()
  count = "no setting is" if not order else f"{len(order)} of {len(found.settings)} settings are"
  goal = "lower" if found.lower else "higher"
  parts = [
    f"<h1>{html.escape(found.title)}</h1>",
    says(f"{found.figure}, {goal} is better. {count} complete. ± is half of a 95 % interval."),
  ]
  if not order:
    return parts
  rows = tables.trials(found, order)
  parts += ["<h2>Best</h2>", *html.folded(rows, _BEST, "others")]
  near = tables.unclear(found)
  return parts + ([says(near)] if near else []) + _command(order[0].name, order[0].command)


def _command(name: str, command: str) -> list[str]:
  if not command:
    return []
  return [f"<h2>The command of {html.escape(name)}</h2>", html.command(command)]


def _differing(found: Found) -> list[str]:
  """The fields in which plain runs differ, a row each."""
  if not any(one.folders for one in found.settings):
    return []
  rows = tables.differing(found)
  if len(rows) == 1:
    return ["<h2>Config</h2>", says("The runs differ in no field but the seed.")]
  note = "Fields in which the runs differ; all others are the same."
  return ["<h2>Config</h2>", says(note), *html.folded(rows, _BEST, "more fields")]


def _runs(found: Found, folder: str) -> list[str]:
  """Each run's own page, where it has one."""
  items = []
  for setting in found.settings:
    for own in setting.folders:
      name, target = beside.link(own, folder)
      linked = f'<a href="{html.escape(target)}">{html.escape(name)}</a>' if target else ""
      items.append(f"<li>{linked or html.escape(name)}, {html.escape(setting.name)}</li>")
  if not items:
    return []
  lost = "" if all("<a " in item for item in items) else (
    "Those without a link have no page yet: python -m experiments.report RUN writes it."
  )  # fmt: skip
  parts = ["<h2>Runs</h2>", *([says(lost)] if lost else [])]
  shown, rest = "".join(items[:_BEST]), "".join(items[_BEST:])
  more = f"<details><summary>{len(items) - _BEST} more runs</summary><ul>{rest}</ul></details>"
  return [*parts, f"<ul>{shown}</ul>", more if rest else ""]


def _curves(found: Found, drawn: dict[str, Any]) -> list[str]:
  if not any(one.curves for one in found.settings):
    return ["<h2>Curves</h2>", says("No run folder with the objective was found.")]
  drawn["curves"] = figures.curves(found)
  note = (
    "Thick lines are means over the seeds, bands reach from the lowest seed to the highest; compute"
    " is that of the final stage."
  )
  return ["<h2>Curves</h2>", says(note), _figure("curves")]


def _beside(found: Found, drawn: dict[str, Any]) -> list[str]:
  """The main figures of plain runs, against the steps of all stages."""
  specs = beside.curves(found)
  names = {f"beside{place}": spec for place, spec in enumerate(specs.values())}
  drawn |= names
  if not names:
    return []
  note = (
    "All stages one after the other, by steps; colours as above. Means over the seeds, bands from"
    f" the lowest to the highest; of what is known of each step the mean of {beside.SMOOTHED}."
  )
  boxes = "".join(
    f"<figure><figcaption>{html.escape(title)}</figcaption>{_figure(name)}</figure>"
    for title, name in zip(specs, names, strict=True)
  )
  return ["<h2>Side by side</h2>", says(note), f'<div class="grid">{boxes}</div>']


def _scaling(found: Found, rows: Sequence[Scaling], drawn: dict[str, Any]) -> list[str]:
  if not rows:
    return []
  parts = [
    "<h2>Compute against performance</h2>",
    says(
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
  return [*parts, *html.folded(table, sure or _BEST, "not identified" if sure else "others")]


def _importances(found: Found, drawn: dict[str, Any]) -> list[str]:
  parts = ["<h2>Importances</h2>", says(found.importances_note)]
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
  return ["<h2>Failed and pruned</h2>", html.table(rows)] if len(rows) > 1 else []


def _figure(name: str, style: str = "") -> str:
  return f'<div class="figure" id="{name}" style="{style}"></div>'
