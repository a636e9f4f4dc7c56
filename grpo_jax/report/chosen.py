"""Which samples a page has room for, and those as they are in it."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from grpo_jax.report.clip import LONGEST, clipped

Place = tuple[str, int]  # stage and step
_MOST_BYTES = 4_000_000
# So many steps are wanted before more prompts of each.
_STEPS, _PROMPTS = 40, 4
_LARGEST = 100_000  # a record with longer texts is cut to about this
# Every record begins so: a file of gigabytes is not parsed to learn what is where.
_HEAD = re.compile(rb'\{"stage": "([^"\\]*)", "step": (\d+)[,}]')


@dataclasses.dataclass(frozen=True)
class Chosen:
  """records: as in samples.jsonl, long texts cut. note: what is not among them; "" for nothing."""

  records: list[dict[str, Any]]
  note: str


def choose(
  path: str, wanted: Mapping[str, Sequence[int]] | None = None, most_bytes: int = _MOST_BYTES
) -> Chosen:
  """The samples of a run for its page.

  All, or where they are too many: of each stage the first step, the last and those nearest to the
  `wanted` ones, and others evenly between, with the first prompts of each.

  Args:
    path: of samples.jsonl; none is read where there is none.
    wanted: steps of stages.
    most_bytes: about how much the records may take, as they are in the file.
  """
  places = _places(path)
  if not places:
    return Chosen([], "this run has recorded no answers")
  counts = [own.count for own in places.values()]
  prompts = max(counts)
  mean = sum(own.size for own in places.values()) / len(places)
  per_prompt = mean / (sum(counts) / len(places))
  steps = min(len(places), _STEPS)
  shown = min(max(int(most_bytes / (steps * per_prompt)), _PROMPTS), prompts)
  always = _always(list(places), wanted or {})
  room = max(int(most_bytes / (mean * shown / prompts)) - len(always), 1)
  order = [*always, *(place for place in _evenly(list(places), room) if place not in always)]
  records, cut, left, taken = [], False, float(most_bytes), set()
  for place in order:
    for line in _own_lines(path, place, places[place].offset, shown) if left > 0 else ():
      record, short = _record(line, place)
      if record is not None:
        records.append(record)
        taken.add(place)
        cut, left = cut or short, left - min(len(line), 4 * LONGEST * len(record["completions"]))
  at = {place: number for number, place in enumerate(places)}
  records.sort(key=lambda record: at[record["stage"], record["step"]])
  return Chosen(records, _note(len(taken), len(places), shown, prompts, cut))


@dataclasses.dataclass
class _Step:
  """The records of a step, which stand one after the other: their first, number and size."""

  offset: int
  count: int = 0
  size: int = 0  # in bytes, of each record no more than _LARGEST


def _places(path: str) -> dict[Place, _Step]:
  """Where each step's records are, in the file's order."""
  found: dict[Place, _Step] = {}
  for offset, line in _lines(path):
    place = _place(line)
    if place is not None:
      step = found.setdefault(place, _Step(offset))
      step.count += 1
      step.size += min(len(line), _LARGEST)
  return found


def _own_lines(path: str, place: Place, offset: int, most: int) -> Iterator[bytes]:
  """The first records of a step that begins at `offset`; torn ones between them are passed over."""
  known = ((line, _place(line)) for _, line in _lines(path, offset))
  found = ((line, at) for line, at in known if at is not None)
  own = itertools.takewhile(lambda one: one[1] == place, found)
  return (line for line, _ in itertools.islice(own, most))


def _lines(path: str, offset: int = 0) -> Iterator[tuple[int, bytes]]:
  try:
    with open(path, "rb") as file:
      file.seek(offset)
      for line in file:
        yield offset, line
        offset += len(line)
  except FileNotFoundError:
    return


def _place(line: bytes) -> Place | None:
  """Stage and step of a record; None of a line that is torn."""
  if (head := _HEAD.match(line)) and line.rstrip().endswith(b"}"):
    return head[1].decode("utf-8", "replace"), int(head[2])
  try:
    record = json.loads(line)
    return str(record["stage"]), int(record["step"])
  except (ValueError, KeyError, TypeError):
    return None


def _always(places: list[Place], wanted: Mapping[str, Sequence[int]]) -> list[Place]:
  """First and last of each stage, and of each wanted step the nearest."""
  found = []
  for stage, group in itertools.groupby(places, key=lambda place: place[0]):
    own = list(group)
    found += [own[0], own[-1]]
    found += [min(own, key=lambda place: abs(place[1] - step)) for step in wanted.get(stage, ())]
  return list(dict.fromkeys(found))


def _evenly(places: list[Place], room: int) -> list[Place]:
  """At most `room` of them, at even distances."""
  if room >= len(places):
    return places
  last = len(places) - 1
  return [places[round(at * last / max(room - 1, 1))] for at in range(room)]


def _record(line: bytes, place: Place) -> tuple[dict[str, Any] | None, bool]:
  """A record as it is in the page, and whether a text was cut; None of what is none."""
  try:
    # NaN, which no browser reads, is null.
    read = json.loads(line, parse_constant=lambda _: None)
    return clipped(read | {"stage": place[0], "step": place[1]})
  except (ValueError, TypeError, AttributeError, KeyError):
    return None, False


def _note(steps: int, all_steps: int, prompts: int, all_prompts: int, cut: bool) -> str:
  parts = []
  if steps < all_steps:
    parts.append(
      f"{steps} of {all_steps} steps: the first, the last, the best, those with warnings, and"
      " others evenly between"
    )
  if prompts < all_prompts:
    parts.append(f"the first {prompts} of up to {all_prompts} prompts of each")
  if cut:
    parts.append(f"texts up to {LONGEST:,} characters")
  return f"Here are {'; '.join(parts)}. samples.jsonl has all." if parts else ""
