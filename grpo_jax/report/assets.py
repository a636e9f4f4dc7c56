"""How pages look and what they do: CSS and JavaScript of our own, the files in static/."""

import json
from importlib import resources
from typing import Any


def static(*names: str) -> str:
  """The text of these files, one after the other."""
  folder = resources.files(__package__) / "static"
  return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def as_json(value: Any) -> str:
  """JSON that can stand in a page's script element: no text can end it, all is ASCII.

  Raises:
    ValueError: a number is not finite.
  """
  # With <, >, & and line separators escaped there is no tag, comment or end of a line in it.
  text = json.dumps(value, default=float, allow_nan=False, separators=(",", ":"))
  for sign in "<>&":
    text = text.replace(sign, f"\\u{ord(sign):04x}")
  return text
