"""Parts of pages: texts of others are escaped here, and nowhere else put into HTML."""

import html
import re
from collections.abc import Sequence

from grpo_jax.report import assets

# Signs that would hide or turn the text around them, and halves of characters; as in text.js.
_UNSEEN = re.compile(
  r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
  r"\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LONG = 40  # characters from which a cell may break


def escape(text: str) -> str:
  """The text as HTML shows it, whatever it holds; signs that are not to be seen by their names."""
  return html.escape(_UNSEEN.sub(lambda found: f"U+{ord(found[0]):04X}", text))


def document(title: str, style: str, parts: Sequence[str]) -> str:
  """The whole file: it needs nothing else, no network either."""
  return "\n".join([
    "<!doctype html>", '<html lang="en">', '<head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    f"<title>{escape(title)}</title>", '<link rel="icon" href="data:,">',
    f"<style>{style}</style></head>", "<body>", *parts, "</body></html>", "",
  ])  # fmt: skip


def data(name: str, value: object) -> str:
  """A script element that holds `value` as JSON."""
  return f'<script type="application/json" id="{name}">{assets.as_json(value)}</script>'


def says(line: str) -> str:
  """A paragraph."""
  return f"<p>{escape(line)}</p>"


def command(text: str) -> str:
  """A line to type, with a button that copies it."""
  button = '<button type="button" class="copy">Copy</button>'
  return f'<div class="command"><pre>{escape(text)}</pre>{button}</div>'


def folded(rows: Sequence[Sequence[str]], shown: int, rest: str) -> list[str]:
  """The table's head and first rows; a fold with the others."""
  head, *body = rows
  parts = [table([head, *body[:shown]])]
  if len(body) > shown:
    more = table([head, *body[shown:]])
    parts.append(f"<details><summary>{len(body) - shown} {rest}</summary>{more}</details>")
  return parts


def table(rows: Sequence[Sequence[str]]) -> str:
  """The first row is the head."""
  head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in rows[0])
  body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[1:])
  made = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
  return f'<div class="wide" tabindex="0" role="group" aria-label="table">{made}</div>'


def _cell(cell: str) -> str:
  kind = ' class="long"' if len(cell) > _LONG else ""
  return f"<td{kind}>{escape(cell)}</td>"
