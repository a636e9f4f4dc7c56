"""Docstrings of this project as Markdown: lines "name, name: what it is" are a list of fields."""

import re
from typing import Any

import griffe

_NAMES = r"[\w/]+(?:, [\w/]+)*"
_FIELD = re.compile(rf"^({_NAMES}): (.+)$")
_INNER = re.compile(rf"(?<=\.) ({_NAMES}): ")
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$")


class FieldLists(griffe.Extension):
  """Rewrites each docstring before it is parsed; a config class shows its fields as they stand."""

  def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
    """What griffe calls with each module, class, function and attribute."""
    if obj.docstring:
      obj.docstring.value = as_markdown(obj.docstring.value)

  def on_class_members(self, *, cls: griffe.Class, **_: Any) -> None:
    """What griffe calls with a class once its members are known."""
    fields = [member for member in cls.members.values() if _is_field(member)]
    if cls.docstring and fields and cls.path.startswith("grpo_jax.config."):
      lines = [_declaration(field) for field in fields]
      cls.docstring.value = "\n".join([cls.docstring.value, "", "```python", *lines, "```"])


def _is_field(member: Any) -> bool:
  return member.is_attribute and member.annotation is not None and "property" not in member.labels


def _declaration(field: Any) -> str:
  default = f" = {field.value}" if field.value is not None else ""
  return f"{field.name}: {field.annotation}{default}"


def as_markdown(text: str) -> str:
  """The docstring with its field lines as a list; what stands in a section is left alone."""
  lines: list[str] = []
  listed = False
  for index, line in enumerate(text.split("\n")):
    if _SECTION.match(line):
      return "\n".join([*lines, *text.split("\n")[index:]])
    found = _FIELD.match(line) if index else None
    if found:
      lines += [*([] if listed or not lines[-1] else [""]), _item(found[1], found[2])]
      listed = True
    elif listed and line.startswith("  "):
      lines.append(line)
    else:
      listed = False
      lines.append(line)
  return "\n".join(lines)


def _item(names: str, text: str) -> str:
  """One entry of the list, or several: "name: text. other: text" is two."""
  text = _INNER.sub(lambda inner: f"\n{_marked(inner[1])}", text)
  return f"{_marked(names)}{text}"


def _marked(names: str) -> str:
  marked = ", ".join(f"`{name}`" for name in names.split(", "))
  return f"- {marked}: "
