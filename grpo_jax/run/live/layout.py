"""How many lines each part of a live view has: everything must fit, in any terminal."""

import dataclasses

# Columns from which an answer is read beside the table, and the best beside the worst.
_WIDE, _BESIDE = 120, 70
_TABLE = 58
# Lines of a sample: at least one of the prompt, and what the answers were worth; then their texts.
_HEAD, _TEXT, _PROMPT = 2, 8, 4
_FEWEST_ROWS = 3


@dataclasses.dataclass(frozen=True)
class Layout:
  """Lines of each part, 0 where it has no room.

  wide: the sample is beside the table, else below. beside: the answers are beside each other.
  table: columns of the table. text: lines of an answer, or those of a population.
  """

  wide: bool
  beside: bool
  table: int
  rows: int
  prompt: int
  text: int
  warnings: int


def divide(
  columns: int, lines: int, rows: int, warnings: int, *, sample: bool, members: int = 0
) -> Layout:
  """Divides what is left below the two lines of the head.

  Args:
    columns, lines: of the terminal that can be drawn on.
    rows: figures that there are. warnings: that there were.
    sample: whether there is one. members: of a population, each with a line instead of it.
  """
  wide = columns >= _WIDE
  beside = wide or columns >= _BESIDE
  left = max(lines - 2, 0)
  told = min(warnings, 3 if left >= 24 else 1, max(left - _FEWEST_ROWS - 1, 0))
  left -= told
  below = 0 if wide else _below(left, beside=beside, sample=sample, members=members)
  shown = max(min(rows, left - 1 - below), 0)
  room = left if wide else left - 1 - shown
  width = _TABLE if wide else columns
  if members:
    return Layout(wide, beside, width, shown, 0, max(room, 0), told)
  worth, most = (1, _TEXT) if beside else (2, _TEXT // 2)
  texts = (room - 1 - worth) if beside else (room - 1 - worth) // 2
  text = max(min(texts, most), 0) * sample
  prompt = min(_PROMPT, room - worth - (text if beside else 2 * text)) if text else 0
  return Layout(wide, beside, width, shown, prompt, text, told)


def _below(left: int, *, beside: bool, sample: bool, members: int) -> int:
  """Lines that what is below the table should have, before the table has more rows."""
  if members:
    return min(members + 1, max(left // 2, 0))
  least = _HEAD + (2 if beside else 3)
  return least if sample and left - 1 - least >= _FEWEST_ROWS else 0
