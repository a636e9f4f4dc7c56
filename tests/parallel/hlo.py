"""What a compiled program says between devices, and in which of its loops: read from its text."""

import dataclasses
import math
import re
from collections.abc import Iterator

_KINDS = "all-gather|all-reduce|reduce-scatter|all-to-all|ragged-all-to-all|collective-permute"
_OP = re.compile(rf"= (.*?) ({_KINDS})(?:-start)?\(")
_FUSED = re.compile(r"calls=%?(all-reduce-scatter|reduce-scatter)[\w.\-]*")
_CALLED = re.compile(r"(?:calls|to_apply|\w+_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"(?:branch_computations|called_computations)=\{([^}]*)\}")
_LOOP = re.compile(r"condition=%?([\w.\-]+), body=%?([\w.\-]+)")
_ARRAY = re.compile(r"([a-z]+\d*)\[([\d,]*)\]")


@dataclasses.dataclass(frozen=True)
class Collective:
  """One collective operation.

  kind: as XLA names it. shape: of its results on a device. loops: those it is in, outermost first,
  and source: the operation that it comes from, both by the names of the traced program.
  """

  kind: str
  shape: tuple[tuple[str, tuple[int, ...]], ...]
  loops: tuple[str, ...]
  source: str

  @property
  def elements(self) -> int:
    """Numbers in its results."""
    return sum(math.prod(sizes) for _, sizes in self.shape)


def collectives(text: str) -> list[Collective]:
  """All of a program, in the order of its computations.

  One that is sent in pieces, beside the work of many fusions, has one channel and is told once.
  """
  computations, entry = _computations(text)
  found = _walk(computations, entry, ())
  return list({(one.loops, channel): one for channel, one in found}.values())


def _computations(text: str) -> tuple[dict[str, list[str]], str]:
  found: dict[str, list[str]] = {}
  entry, lines = "", None
  for line in text.splitlines():
    head = re.match(r"(ENTRY )?%?([\w.\-]+) .*\{\s*$", line)
    if head and not line.startswith(" "):
      lines = found.setdefault(head[2], [])
      entry = head[2] if head[1] else entry
    elif line.startswith("}"):
      lines = None
    elif lines is not None:
      lines.append(re.sub(r"/\*.*?\*/", "", line))
  return found, entry


def _walk(
  computations: dict[str, list[str]], name: str, loops: tuple[str, ...]
) -> Iterator[tuple[str, Collective]]:
  for number, line in enumerate(computations.get(name, ())):
    if op := _OP.search(line):
      channel = re.search(r"channel_id=\d+", line)
      place = channel[0] if channel else f"{name} {number}"
      yield place, _collective(op[2], op[1], line, loops)
    elif _FUSED.search(line) and " fusion(" in line:
      result = line.split(" fusion(")[0]
      yield f"{name} {number}", _collective("reduce-scatter", result, line, loops)
      continue
    if loop := _LOOP.search(line):
      inner = (*loops, _source(line))
      for part in loop.groups():
        yield from _walk(computations, part, inner)
      continue
    branches = [part for group in _BRANCHES.findall(line) for part in group.split(",")]
    for part in _CALLED.findall(line) + branches:
      yield from _walk(computations, part.strip().lstrip("%"), loops)


def _collective(kind: str, result: str, line: str, loops: tuple[str, ...]) -> Collective:
  shape = tuple(
    (dtype, tuple(int(size) for size in sizes.split(",") if size))
    for dtype, sizes in _ARRAY.findall(result)
  )
  return Collective(kind, shape, loops, _source(line))


def _source(line: str) -> str:
  name = re.search(r'op_name="([^"]*)"', line)
  return name[1] if name else ""
