"""Docstrings of this project as Markdown: lines "name, name: what it is" are a list of fields."""

import re
from typing import Any

import griffe

_FIELD = re.compile(r"^(\w+(?:, \w+)*): (.+)$")
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$")


class FieldLists(griffe.Extension):
  """Rewrites each docstring before it is parsed."""

  def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
    """What griffe calls with each module, class, function and attribute."""
    if obj.docstring:
      obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
  """The docstring with its field lines as a list; what stands in a section is left alone."""
  lines: list[str] = []
  listed = False
  for index, line in enumerate(text.split("\n")):
    if _SECTION.match(line):
      return "\n".join([*lines, *text.split("\n")[index:]])
    found = _FIELD.match(line) if index else None
    if found:
      names = ", ".join(f"`{name}`" for name in found[1].split(", "))
      lines += [*([] if listed or not lines[-1] else [""]), f"- {names}: {found[2]}"]
      listed = True
    elif listed and line.startswith("  "):
      lines.append(line)
    else:
      listed = False
      lines.append(line)
  return "\n".join(lines)
