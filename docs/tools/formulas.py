"""Formulas of the pages as MathML, which browsers draw by themselves: no script, no network."""

import html
import re

from latex2mathml.converter import convert

_INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)
_BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)


def on_page_content(content: str, **_: object) -> str:
  r"""What mkdocs calls with each page: \(...\) and \[...\] become MathML."""
  content = _BLOCK.sub(
    lambda found: f'<div class="formula">{convert(html.unescape(found[1]), display="block")}</div>',
    content,
  )
  return _INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
