"""Figures as plotly reads them, dicts of data and layout; text and grid get the page's colours."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grpo_jax.report.found import Found, Setting
from grpo_jax.report.scaling import Scaling
from grpo_jax.report.tables import number
from grpo_jax.report.thin import envelope

Figure = dict[str, Any]
# Told apart on white and on black, and by most who see few colours.
COLOURS = ("#3b82c4", "#d9822b", "#2a9d6f", "#c44e6a", "#8a6bd1", "#9a7b4f", "#d46fb0", "#5f9ea0")
_OTHER = "#8a94a0"
_SCALE = [[0, _OTHER], [0.5, COLOURS[0]], [1, COLOURS[1]]]
_PLACES = 200  # of the edges of a band
_FITS = 6  # drawn; bands of more hide one another


def curves(found: Found) -> Figure:
  """The objective against compute: a band from the lowest seed to the highest, and their mean."""
  colours = chosen(found)
  grey = [one for one in found.settings if one.name not in colours and one.curves]
  data: list[dict[str, Any]] = []
  for place, setting in enumerate(grey):
    data += _lines(setting, "others", _OTHER, shown=not place, opacity=0.25)
  named = {one.name: one for one in found.settings}
  for name, colour in colours.items():
    data += _lines(named[name], name, colour, shown=True, opacity=0.45)
  return {"data": data, "layout": axes(found.unit, found.figure) | _LEGEND}


def importances(found: Found) -> Figure:
  """Bars, the greatest on top."""
  short, items = found.short(), list(found.importances.items())[::-1]
  bar = {
    "type": "bar", "orientation": "h", "marker": {"color": COLOURS[0]},
    "x": [share for _, share in items], "y": [short.get(path, path) for path, _ in items],
    "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
  }  # fmt: skip
  layout = axes("share", "") | {"yaxis": {"automargin": True}}
  return {"data": [bar], "layout": layout}


def parallel(found: Found) -> Figure | None:
  """Parallel coordinates of the completed ones; None of fewer than two, or without parameters."""
  done, short = found.best_first(), found.short()
  if len(done) < 2 or not short:
    return None
  values = [one.value or 0.0 for one in done]
  dimensions = [_dimension(short[path], _places(found, done, path)) for path in short]
  dimensions.append({"label": found.figure, "values": values})
  lines = {
    "type": "parcoords", "dimensions": dimensions, "labelangle": -12,
    "line": {"color": values, "colorscale": _SCALE, "reversescale": found.lower},
  }  # fmt: skip
  return {"data": [lines], "layout": {"margin": {"l": 60, "r": 60, "t": 70, "b": 30}}}


def slices(found: Found) -> list[Figure]:
  """The objective against each parameter alone, with intervals where they are known."""
  done = found.best_first()
  if len(done) < 2:
    return []
  figures = []
  for path, name in found.short().items():
    having = [one for one in done if path in one.params]
    values = [one.params[path] for one in having]
    spread = [one.interval or 0.0 for one in having]
    points = {
      "type": "scatter", "mode": "markers", "marker": {"color": COLOURS[0], "size": 8},
      "x": values if _numeric(values) else list(map(str, values)),
      "y": [one.value for one in having],
      "text": [one.name for one in having],
      "error_y": {"type": "data", "array": spread, "thickness": 1, "width": 0, "color": _OTHER},
      "hovertemplate": "%{text}: %{y:.4g} at %{x}<extra></extra>",
    }  # fmt: skip
    layout = axes(name, found.figure)
    layout["xaxis"] |= {"type": _axis_type(values, path in found.logarithmic)}
    layout["xaxis"] |= {"exponentformat": "power"}
    layout["yaxis"]["range"] = _around([one.value or 0.0 for one in done])
    figures.append({"data": [points], "layout": layout})
  return figures


def fits(found: Found, rows: Sequence[Scaling]) -> Figure:
  """Evaluations, the fitted sigmoids and their 95 % bands, of those that were identified."""
  data: list[dict[str, Any]] = []
  sure, colours = [row for row in rows if not row.fit.doubt], chosen(found)
  best_first = sorted(sure, key=lambda row: row.setting.name not in colours)[:_FITS]
  for row in best_first:
    colour = colours.get(row.setting.name, _OTHER)
    curves = list(row.setting.curves.values())
    compute = np.linspace(0, max(curve.compute.max() for curve in curves), 80)
    common = {"legendgroup": row.setting.name, "name": row.setting.name, "type": "scatter"}
    low, high = row.sign * row.fit.band(compute)
    edges = {"x": [*compute, *compute[::-1]], "y": [*low, *high[::-1]], "fill": "toself"}
    band = {"fillcolor": colour, "opacity": 0.15, "line": {"width": 0}, "hoverinfo": "skip"}
    data.append(common | edges | band | {"mode": "lines", "showlegend": False})
    line = {"x": compute.tolist(), "y": (row.sign * row.fit.at(compute)).tolist()}
    data.append(common | line | {"mode": "lines", "line": {"color": colour, "width": 2.5}})
    points = {"x": np.concatenate([curve.compute for curve in curves]).tolist()}
    points["y"] = np.concatenate([curve.values for curve in curves]).tolist()
    marks = {"mode": "markers", "marker": {"color": colour, "size": 5}, "opacity": 0.6}
    data.append(common | points | marks | {"showlegend": False})
  return {"data": data, "layout": axes(found.unit, found.figure) | _LEGEND}


_LEGEND = {"legend": {"orientation": "h", "y": -0.22, "yanchor": "top", "x": 0}}


def chosen(found: Found) -> dict[str, str]:
  """The best few have a colour; the others are grey."""
  order = found.best_first() or [one for one in found.settings if one.curves]
  return {one.name: colour for one, colour in zip(order, COLOURS, strict=False)}


def _lines(setting: Setting, label: str, colour: str, shown: bool, opacity: float) -> list[dict]:
  """A thick mean, and round it the seeds: a band, or of the others thin lines."""
  common = {"type": "scatter", "mode": "lines", "name": quiet(label), "legendgroup": label}
  together = _together(setting)
  if together is None:
    return []
  compute, values = together
  if label == setting.name and len(values) > 1:
    traces = [one | {"legendgroup": label} for one in band(label, colour, compute, values)]
  else:
    traces = [
      common
      | {"x": curve.compute.tolist(), "y": curve.values.tolist(), "showlegend": False}
      | {"line": {"color": colour, "width": 1}, "opacity": opacity}
      | {"text": quiet(f"{setting.name} {seed}")}
      | {"hovertemplate": "%{text}: %{y:.4g}<extra></extra>"}
      for seed, curve in setting.curves.items()
    ]
  thick: dict[str, Any] = {
    "line": {"color": colour, "width": 2.5 if label == setting.name else 1.2}
  }
  hover: dict[str, Any] = {
    "text": quiet(setting.name),
    "hovertemplate": "%{text}: %{y:.4g}<extra></extra>",
  }
  hover |= {"showlegend": shown, "legendrank": 2000 if label == "others" else 1000}
  return [*traces, common | {"x": compute, "y": values.mean(0).tolist()} | thick | hover]


def band(name: str, colour: str, x: list[float], values: np.ndarray) -> list[dict[str, Any]]:
  """From the lowest seed to the highest: f[seeds,N] at N places."""
  left, low = envelope(x, values.min(0).tolist(), _PLACES)
  right, high = envelope(x, values.max(0).tolist(), _PLACES)
  edges = {"x": [*left, *right[::-1]], "y": [*low, *high[::-1]], "fill": "toself"}
  look = {"fillcolor": colour, "opacity": 0.18, "line": {"width": 0}, "hoverinfo": "skip"}
  named = {"type": "scatter", "mode": "lines", "name": quiet(name), "showlegend": False}
  return [named | edges | look]


def quiet(text: str) -> str:
  """A name as plotly shows it as it is, whatever tags are in it."""
  return text.replace("&", "&amp;").replace("<", "&lt;")


def _together(setting: Setting) -> tuple[list[float], np.ndarray] | None:
  """Mean compute and f64[seeds,N], evaluation by evaluation, as far as all seeds got."""
  curves = list(setting.curves.values())
  if not curves:
    return None
  shortest = min(len(curve.values) for curve in curves)
  compute = np.mean([curve.compute[:shortest] for curve in curves], 0)
  return compute.tolist(), np.array([curve.values[:shortest] for curve in curves])


def _around(values: list[float]) -> list[float]:
  """The axis that shows all values; what two seeds know of their interval may be off it."""
  low, high = min(values), max(values)
  room = 0.2 * (high - low) or 0.1
  return [low - room, high + room]


def axes(x: str, y: str) -> dict[str, Any]:
  """A layout with these titles."""
  return {
    "xaxis": {"title": {"text": x}, "automargin": True, "exponentformat": "none"},
    "yaxis": {"title": {"text": y}, "automargin": True},
    "margin": {"l": 50, "r": 15, "t": 15, "b": 45},
  }


def _places(found: Found, done: list[Setting], path: str) -> tuple[list, list, list]:
  """Where each setting crosses the axis, and the axis' ticks and their texts."""
  values = [one.params.get(path, "-") for one in done]
  if not _numeric(values):
    kinds = sorted(set(map(str, values)))
    return [kinds.index(str(value)) for value in values], list(range(len(kinds))), kinds
  if path in found.logarithmic and min(values) > 0:
    logs = [math.log10(value) for value in values]
    ticks = np.linspace(min(logs), max(logs), 4).tolist() if min(logs) < max(logs) else logs[:1]
    return logs, ticks, [f"{10**tick:.2g}" for tick in ticks]
  few = sorted(set(values))
  ticks = few if len(few) <= 6 else np.linspace(few[0], few[-1], 4).tolist()
  return values, ticks, list(map(number, ticks))


def _dimension(label: str, places: tuple[list, list, list]) -> dict[str, Any]:
  values, ticks, texts = places
  return {"label": label, "values": values, "tickvals": ticks, "ticktext": texts}


def _numeric(values: Sequence[Any]) -> bool:
  return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _axis_type(values: Sequence[Any], logarithmic: bool) -> str:
  if not _numeric(values):
    return "category"
  return "log" if logarithmic and min(values) > 0 else "linear"
