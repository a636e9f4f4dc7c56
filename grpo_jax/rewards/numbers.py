"""Numbers in what a model wrote: read exactly, in bounded time, whatever the text."""

import re
from fractions import Fraction

# Answers stand near the end: what is before is not read, however long.
TAIL = 2000
# A longer number, or a power of ten beyond this, is no number: 9e999999999 would fill the memory.
_MOST_DIGITS = 50
# A sign is one unless a number or word is directly before it: -5 and 3 -5, but 12-7 ends in 7.
# Latin letters glue a number to a name (x46); scripts that write without spaces do not.
_NUMBER = re.compile(
  r"(?P<sign>(?<![A-Za-z_\d.)])[-+])?[$€£¥]?(?<![A-Za-z_\d.])"
  r"(?P<digits>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
  r"(?:[eE](?P<exponent>[-+]?\d+)|/(?P<denominator>\d+))?"
)
# Where the tail begins amid a number, the rest of that number is another number.
_CUT_OFF = re.compile(r"[\d.,/+\-eE$€£¥]*")
_MARKUP = (
  (re.compile("[\N{MINUS SIGN}\N{EN DASH}\N{FULLWIDTH HYPHEN-MINUS}]"), "-"),
  (re.compile(r"\.{2,}|…"), " "),
  (re.compile(r"(?<!\w)_+|_+(?!\w)"), " "),  # _46_ and __46__ are emphasis
  (re.compile(r"\\[,!]"), ""),  # LaTeX's 1\,234 and 1,\!234
  (re.compile(r"\{,\}"), ","),
  (re.compile(r"(?<!\d)\\[dt]?frac\{(-?\d+)\}\{(\d+)\}"), r"\1/\2"),
)


def last_number(text: str) -> Fraction | None:
  r"""The last number in the text, exactly; None where there is none, or one out of bounds.

  Read are 1,234 and 46. and 46.0 and .5 and +5 and -5 (also with a minus sign) and -$5 and 4e1 and
  1/2 and \frac{1}{2}, in any markup. A unit or a percent sign is ignored. Mixed numbers (1 1/2),
  4 x 10^1 and thousands parted by spaces are not read as one: there the last part counts.
  """
  text = text.rstrip()
  if len(text) > TAIL:
    text = _CUT_OFF.sub("", text[-TAIL:], count=1)
  for pattern, replacement in _MARKUP:
    text = pattern.sub(replacement, text)
  matches = list(_NUMBER.finditer(text))
  return _value(matches[-1]) if matches else None


def _value(match: re.Match[str]) -> Fraction | None:
  exponent, denominator = _int_or(match["exponent"], 0), _int_or(match["denominator"], 1)
  too_long = len(match["digits"]) > _MOST_DIGITS or exponent is None or denominator is None
  if too_long or not denominator or abs(exponent or 0) > _MOST_DIGITS:
    return None
  value = Fraction(match["digits"].replace(",", "")) * Fraction(10) ** (exponent or 0) / denominator
  return -value if match["sign"] == "-" else value


def _int_or(digits: str | None, default: int) -> int | None:
  """The digits' value; the default where there are none, None where there are too many."""
  if digits is None:
    return default
  return int(digits) if len(digits) <= _MOST_DIGITS else None
