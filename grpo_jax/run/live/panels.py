"""A picture of a run as rich draws it. Texts of a model are `Text`, where markup is nothing."""

import math
from typing import Any

from grpo_jax.run.console import duration, ranked, shown
from grpo_jax.run.live.board import Member, Picture
from grpo_jax.run.live.layout import Layout, divide
from grpo_jax.run.live.pace import in_words
from grpo_jax.run.live.rows import number
from grpo_jax.run.live.sparkline import sparkline

# Columns of a table without its sparkline: label, now, mean of 10, and between them.
_LABEL, _VALUE = 19, 9
_DIM, _WARN, _BEST, _WORST = "dim", "yellow", "green", "red"
_MEMBER_COLUMNS = (
  ("reward", "reward/mean", ".3f"),
  ("loss", "loss/sft", ".4f"),
  ("held-out", "eval/accuracy", ".3f"),
  ("entropy", "policy/entropy", ".3f"),
)


def compose(picture: Picture, console: Any, columns: int, lines: int, now: float) -> Any:
  """What rich draws, at most `lines` high; `now` in seconds of the board's clock."""
  from rich.console import Group

  layout = divide(
    *(columns, lines, len(picture.rows), len(picture.warnings)),
    sample=picture.sample is not None,
    members=len(picture.members),
  )
  table = _table(picture, layout)
  if picture.members:
    side = _members(picture, layout)
  else:
    side = _sample(picture, layout, console, columns)
  middle = [_columns(table, side, layout.table)] if layout.wide else [table, side]
  warnings = _warnings(picture, layout.warnings)
  parts = [*_head(picture, columns, now), *middle, *warnings]
  return Group(*[part for part in parts if part is not None])


def _head(picture: Picture, columns: int, now: float) -> list[Any]:
  """The bar, and a line on where the run is."""
  from rich.progress_bar import ProgressBar
  from rich.table import Table

  began, last = picture.since
  quiet = now - last
  words = [picture.place, f"{duration(now - began)} so far"]
  if quiet >= 2 and picture.step < picture.steps:
    words.append(
      f"{'starting, with compiling' if picture.starting else 'in work'} {duration(quiet)}"
    )
  if picture.warned:
    words.append(f"{picture.warned} warning{'s' if picture.warned > 1 else ''}")
  bar = Table.grid(expand=True, padding=(0, 1))
  bar.add_column(no_wrap=True)
  bar.add_column(ratio=1)
  bar.add_column(no_wrap=True, justify="right")
  share = picture.step / picture.steps if picture.steps else 0.0
  right = f"{share:.0%}  {in_words(picture.per_second)}  left {duration(picture.left)}"
  bar.add_row(
    _text(f"{picture.stage} {picture.step}/{picture.steps}", "bold"),
    ProgressBar(total=max(picture.steps, 1), completed=picture.step),
    _text(right),
  )
  return [bar, _one_line("  ".join(word for word in words if word), _DIM)]


def _table(picture: Picture, layout: Layout) -> Any:
  """The figures that matter, with what they did."""
  from rich.table import Table

  if not layout.rows:
    return None
  width = layout.table - _LABEL - 2 * _VALUE - 3
  table = Table.grid(padding=(0, 1, 0, 0))
  table.add_column(width=_LABEL, no_wrap=True, overflow="ellipsis")
  table.add_column(width=_VALUE, justify="right", no_wrap=True)
  table.add_column(width=_VALUE, justify="right", no_wrap=True)
  table.add_column(width=width, no_wrap=True)
  heads = ("", "now", "last 10", "this stage")
  table.add_row(*(_text(head, _DIM) for head in heads))
  for row in picture.rows[: layout.rows]:
    course = _text(sparkline(row.course, width), "cyan")
    table.add_row(_text(row.label), _text(row.now, "bold"), _text(row.recent), course)
  return table


def _sample(picture: Picture, layout: Layout, console: Any, columns: int) -> Any:
  """The newest prompt with its best and its worst answer."""
  from rich.console import Group

  record = picture.sample
  if record is None or not layout.text:
    return None
  order = ranked(record["rewards"])
  width = columns - layout.table - 2 if layout.wide else columns
  head = _lines(
    f"prompt of step {picture.sample_step}: ", record["prompt"], console, width, layout.prompt
  )
  each = (width - 2) // 2 if layout.beside else width
  answers = [
    _answer(label, record, row, style, console, each, layout.text)
    for label, row, style in (("best", order[-1], _BEST), ("worst", order[0], _WORST))
  ]
  best, worst = answers
  return Group(head, _columns(best, worst, each) if layout.beside else Group(best, worst))


def _answer(
  label: str, record: Any, row: int, style: str, console: Any, width: int, most: int
) -> Any:
  """What an answer was worth, and its text."""
  from rich.console import Group

  worth = f"{label} {record['rewards'][row]:.2f}  advantage {record['advantages'][row]:+.2f}"
  return Group(_text(worth, style), _lines("", record["completions"][row], console, width, most))


def _lines(before: str, text: str, console: Any, width: int, most: int) -> Any:
  """Text of a model in at most so many lines of so many columns."""
  whole = _text(before, _DIM).append(shown(text, width * most), style="default")
  found = whole.wrap(console, width, overflow="fold")
  kept = list(found[:most])
  if len(found) > most:
    kept[-1].truncate(width - 1)
    kept[-1].append("…")
  return _text("\n").join(kept)


def _members(picture: Picture, layout: Layout) -> Any:
  """A row a member, as many as have room."""
  from rich.table import Table

  if layout.text < 2:
    return None
  known = [c for c in _MEMBER_COLUMNS if any(c[1] in m.figures for m in picture.members.values())]
  table = Table.grid(padding=(0, 2, 0, 0))
  for head in ("member", "step", *(column[0] for column in known)):
    table.add_column(justify="right", no_wrap=True, min_width=len(head))
  table.add_row(*(_text(h, _DIM) for h in ("member", "step", *(column[0] for column in known))))
  # One line is for those that have none.
  fits = len(picture.members) <= layout.text - 1
  shown_rows = layout.text - 1 if fits else layout.text - 2
  for name, member in list(picture.members.items())[:shown_rows]:
    table.add_row(*(_text(cell) for cell in _cells(name, member, known)))
  if not fits:
    table.add_row(_text(f"+{len(picture.members) - shown_rows}", _DIM))
  return table


def _cells(name: int, member: Member, known: list[tuple[str, str, str]]) -> list[str]:
  values = [number(member.figures.get(figure, math.nan), form) for _, figure, form in known]
  return [str(name), f"{member.stage} {member.step}/{member.steps}", *values]


def _warnings(picture: Picture, most: int) -> list[Any]:
  """The newest, a line each; they stand above in full."""
  newest = picture.warnings[-most:] if most else ()
  return [_one_line(line.removeprefix("warning: "), _WARN) for line in newest]


def _columns(left: Any, right: Any, width: int) -> Any:
  """Two things side by side, the left one so wide."""
  from rich.table import Table

  grid = Table.grid(padding=(0, 2, 0, 0))
  grid.add_column(width=width)
  grid.add_column()
  grid.add_row(left or "", right or "")
  return grid


def _one_line(text: str, style: str) -> Any:
  line = _text(text, style)
  line.no_wrap, line.overflow = True, "ellipsis"
  return line


def _text(text: str, style: str = "") -> Any:
  from rich.text import Text

  return Text(text, style=style)
