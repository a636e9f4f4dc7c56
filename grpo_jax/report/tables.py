"""Tables as rows of text, for the console and for the page."""

from collections.abc import Sequence
from typing import Any

from grpo_jax.report.found import Found, Setting
from grpo_jax.report.scaling import Scaling, orders

Rows = list[list[str]]
_COLUMNS = 8  # settings that can stand beside one another
_SCALING = ["setting", "A", "B", "C_mid", "ranks by A, B, C_mid"]
_SCALING += ["error on 2nd half", "if it stayed", "error at the end"]


def trials(found: Found, settings: Sequence[Setting]) -> Rows:
  """Place, name, objective with its interval, seeds and parameters; the head first."""
  short = found.short()
  rows = [["", "setting", found.figure, "seeds", *short.values()]]
  for place, one in enumerate(settings, 1):
    params = [number(one.params.get(path, "-")) for path in short]
    rows.append([str(place), one.name, score(one), str(_seeds(one)), *params])
  return rows


def ended(found: Found) -> Rows:
  """Failed and pruned ones with their reasons."""
  return [["setting", "state", "reason"]] + [
    [one.name, one.state, one.reason] for one in found.settings if one.state in ("failed", "pruned")
  ]


def scaling(rows: Sequence[Scaling]) -> Rows:
  """Fitted values with 95 % intervals, ranks, and how the first half predicted the second."""
  places = {
    name: {id(row): str(place) for place, row in enumerate(order, 1)}
    for name, order in orders(list(rows)).items()
  }
  table = [_SCALING]
  for row in rows:
    rank = ", ".join(places[name].get(id(row), "-") for name in places)
    table.append([row.setting.name, *_fitted(row), rank, *_predicted(row)])
  return table


def differing(found: Found) -> Rows:
  """The fields in which settings differ: a row a field, or a row a setting where those are many."""
  paths = sorted({path for one in found.settings for path in one.params})
  names = [one.name for one in found.settings]
  if len(names) <= _COLUMNS:
    rows = [
      [path, *(number(one.params.get(path, "-")) for one in found.settings)] for path in paths
    ]
    return [["field", *names], *rows]
  if not paths:
    return [["setting"]]
  body = [
    [one.name, *(number(one.params.get(path, "-")) for path in paths)] for one in found.settings
  ]
  return [["setting", *paths], *body]


def unclear(found: Found) -> str:
  """How many others the best one's interval does not tell from it; "" where nothing is known."""
  order = found.best_first()
  if len(order) < 2 or order[0].interval is None:
    return ""
  best, width = order[0].value or 0.0, order[0].interval
  near = [one.name for one in order[1:] if abs((one.value or 0.0) - best) <= width]
  few = ", ".join(near[:5]) + (f" and {len(near) - 5} more" if len(near) > 5 else "")
  return f"within the best one's interval: {few or 'none of the others'}"


def score(one: Setting) -> str:
  """0.312 ± 0.040."""
  if one.value is None:
    return "-"
  digits = ".3f" if abs(one.value) < 10 else ".4g"
  width = "" if one.interval is None else f" ± {one.interval:{digits}}"
  return f"{one.value:{digits}}{width}"


def number(value: Any) -> str:
  """Four digits at most; what is no number as it is."""
  if isinstance(value, float):
    return f"{value:.4g}"
  return str(value)


def text(rows: Rows) -> list[str]:
  """Aligned lines for the console."""
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
  return [f"  {line}" for line in lines]


def _seeds(one: Setting) -> int:
  return len(one.values) or len(one.curves)


def _fitted(row: Scaling) -> list[str]:
  if row.fit.doubt:
    return [f"not identified: {row.fit.doubt}", "-", "-"]
  parts = (row.ceiling, row.plain("exponent"), row.plain("middle"))
  cells = [f"{_three(value)} [{_three(low)}, {_three(high)}]" for value, low, high in parts]
  if row.fit.bound:
    cells[1] = f"at its limit, {_three(row.fit.exponent)}"
  return cells


def _three(value: float) -> str:
  """Three digits, without a power of ten where there need be none."""
  return f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def _predicted(row: Scaling) -> list[str]:
  half = row.halves
  if half is None:
    return ["-"] * 3
  if half.error != half.error:
    return [f"none: {half.doubt}", f"{half.naive_error:.3f}", "-"]
  doubt = f" ({half.doubt})" if half.doubt else ""
  last = f"{row.sign * half.last:+.3f}"
  return [f"{half.error:.3f}{doubt}", f"{half.naive_error:.3f}", last]
