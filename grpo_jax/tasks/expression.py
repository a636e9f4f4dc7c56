"""Arithmetic that a model has written: worked out exactly, in bounded time and memory."""

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

_LONGEST = 64
# Of a numerator or denominator, at every step on the way.
_MOST_BITS = 512
_ALLOWED = re.compile(r"[0-9+\-*/%(). ]+", re.ASCII)
_BINARY: dict[type, Callable[[Fraction, Fraction], Fraction]] = {
  ast.Add: operator.add,
  ast.Sub: operator.sub,
  ast.Mult: operator.mul,
  ast.Div: operator.truediv,
  ast.FloorDiv: lambda left, right: Fraction(left // right),
  ast.Mod: operator.mod,
}


def evaluate(text: str) -> str:
  """The value of + - * / // % ** and brackets, six digits where it is no whole number; or "error".

  A text of more than 64 characters is an error, and so are exponents that are not whole or above 64
  and numbers beyond 512 bits, on the way to the result too.
  """
  if len(text) > _LONGEST or not _ALLOWED.fullmatch(text):
    return "error"
  try:
    value = _value(ast.parse(text.strip(), mode="eval").body)
  except (ArithmeticError, SyntaxError, ValueError, RecursionError, MemoryError):
    return "error"
  return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"


def _value(node: ast.expr) -> Fraction:
  if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
    return _bounded(Fraction(str(node.value)))
  if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
    value = _value(node.operand)
    return -value if isinstance(node.op, ast.USub) else value
  if isinstance(node, ast.BinOp):
    left, right = _value(node.left), _value(node.right)
    if isinstance(node.op, ast.Pow):
      return _power(left, right)
    return _bounded(_BINARY[type(node.op)](left, right))
  raise ValueError(f"{type(node).__name__} is no arithmetic")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
  # Looked at before: 9**9**9 would fill the memory.
  size = max(base.numerator.bit_length(), base.denominator.bit_length())
  if exponent.denominator != 1 or abs(exponent) > _LONGEST or size * abs(exponent) > _MOST_BITS:
    raise ValueError("too large a power")
  return _bounded(Fraction(base) ** int(exponent))


def _bounded(value: Fraction) -> Fraction:
  if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MOST_BITS:
    raise ValueError("too large a number")
  return value
