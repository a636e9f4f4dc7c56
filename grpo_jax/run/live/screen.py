"""The lower part of a terminal, drawn anew in its place; lines go above it and stay.

Each drawing is one piece of text that leaves the terminal as it found it, with the cursor to be
seen and below the drawing: a run that is killed between two of them leaves nothing to mend.
"""

import contextlib
import io
import os
from collections.abc import Callable, Sequence
from typing import Any, TextIO

# Drawn at once where a terminal can (2026), without the cursor, and cut at the right edge: signs
# that are wider than they say would break the lines, and move all below.
_BEGIN, _CUT, _END = "\x1b[?2026h\x1b[?25l", "\x1b[?7l", "\x1b[?7h\x1b[?25h\x1b[?2026l"

# (rich's console, columns, lines) -> what rich can draw.
Draw = Callable[[Any, int, int], Any]


class Screen:
  """Draws on a terminal that nothing else writes to meanwhile."""

  def __init__(self, terminal: TextIO):
    from rich.console import Console

    self._terminal, self._size, self._height = terminal, os.terminal_size((80, 24)), 0
    # It never writes: what it draws is caught.
    self._console = Console(file=io.StringIO(), force_terminal=True, highlight=False, markup=False)

  def draw(self, above: Sequence[str], make: Draw | None) -> None:
    """Puts lines above the drawing, and draws anew; None takes the drawing away.

    A terminal that is gone is no fault of the run.
    """
    size = self._measured()
    back = self._back(size)
    drawn = [] if make is None else self._drawn(make, size)
    text = "".join(f"{line}\n" for line in above) + _CUT + "".join(f"{line}\n" for line in drawn)
    self._size, self._height = size, len(drawn)
    with contextlib.suppress(OSError, ValueError):
      self._terminal.write(_BEGIN + back + text + _END)
      self._terminal.flush()

  def leave(self) -> None:
    """Lets the drawing stand where it is; the next one begins below."""
    self._height = 0

  def _back(self, size: os.terminal_size) -> str:
    """To where the drawing begins, and what is there taken away."""
    if not self._height:
      return ""
    if size.columns != self._size.columns:  # terminals break the lines anew, each in its own way
      return "\x1b[H\x1b[J"
    return f"\x1b[{self._height}A\r\x1b[J"

  def _drawn(self, make: Draw, size: os.terminal_size) -> list[str]:
    """Its lines with their colours, no more than there is room for."""
    most = max(size.lines - 1, 1)
    self._console.size = size.columns, size.lines
    with self._console.capture() as captured:
      self._console.print(make(self._console, size.columns, most), end="")
    return captured.get().splitlines()[:most]

  def _measured(self) -> os.terminal_size:
    try:
      size = os.get_terminal_size(self._terminal.fileno())
    except (OSError, ValueError):
      return self._size
    return size if size.columns and size.lines else self._size
