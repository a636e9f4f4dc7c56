"""Expressions that have to use given numbers and give a target."""

import ast
import collections
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from grpo_jax.isolated.found import answer_of

# A longer expression, or a longer number, is none: nothing here takes more than a moment.
_LONGEST, _MOST_DIGITS = 400, 12
_PLAIN = re.compile(r"[\d+\-*/() ]+")
_SIGNS = str.maketrans(
  {
    "\N{MULTIPLICATION SIGN}": "*",
    "\N{MIDDLE DOT}": "*",
    "\N{DIVISION SIGN}": "/",
    "\N{MINUS SIGN}": "-",
    "[": "(",
    "]": ")",
  }
)


def countdown(prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
  """1 where the completion is an expression of fields["numbers"] that gives fields["target"].

  The expression is what stands in the last <answer> element, else in the last line; "= target" may
  follow it. Each number is used exactly once, with + - * / and brackets; it is computed exactly,
  and nothing of it is run as a program.
  """
  lines = answer_of(completion).splitlines() or [""]
  text = lines[-1].strip().strip("`$. ").translate(_SIGNS)
  left, equals, right = text.partition("=")
  if equals and right.strip() != str(fields["target"]):
    return 0.0
  found = _value(left.strip())
  if found is None:
    return 0.0
  value, used = found
  right_numbers = collections.Counter(used) == collections.Counter(fields["numbers"])
  return float(right_numbers and value == fields["target"])


def _value(text: str) -> tuple[Fraction, list[int]] | None:
  """What an expression gives, and the numbers in it; None where it is no plain one."""
  if not text or len(text) > _LONGEST or not _PLAIN.fullmatch(text):
    return None
  if any(len(digits) > _MOST_DIGITS for digits in re.findall(r"\d+", text)):
    return None
  used: list[int] = []
  try:
    return _computed(ast.parse(text, mode="eval").body, used), used
  except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
    return None


def _computed(node: ast.AST, used: list[int]) -> Fraction:
  """Raises ValueError where something else than + - * / and whole numbers stands there."""
  if isinstance(node, ast.Constant) and type(node.value) is int:
    used.append(node.value)
    return Fraction(node.value)
  if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
    return -_computed(node.operand, used)
  if not isinstance(node, ast.BinOp):
    raise ValueError(type(node).__name__)
  left, right = _computed(node.left, used), _computed(node.right, used)
  if isinstance(node.op, ast.Add):
    return left + right
  if isinstance(node.op, ast.Sub):
    return left - right
  if isinstance(node.op, ast.Mult):
    return left * right
  if isinstance(node.op, ast.Div):
    return left / right
  raise ValueError(type(node.op).__name__)
