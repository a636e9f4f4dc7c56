"""A Markdown table of attempts to escape, what came of them here, and which layer stopped each.

python -m tests.sandbox.escapes
"""

import contextlib
import dataclasses
import pathlib
import re
import tempfile

from grpo_jax.sandbox.judge import layers, run_python
from grpo_jax.sandbox.limits import Limits
from grpo_jax.sandbox.outcome import Outcome
from tests.sandbox.attempts import ATTEMPTS, PRELUDE
from tests.sandbox.hosts import World

LIMITS = Limits(cpu_s=1, wall_s=2.0, memory_bytes=256 << 20)
BURNING = (
  *("infinite loop", "10**10**9", "printing without end"),
  "a regular expression without end",
)
MODES = {"both": None, "namespaces": ("namespaces",), "landlock": ("landlock",)}
# An error's number says which layer gave it: each has one of its own.
_ERRORS = {1: "seccomp", 13: "Landlock", 2: "namespaces", 3: "namespaces", 30: "namespaces"}
_WORDS = {
  "processor time": "RLIMIT_CPU", "of memory were full": "RLIMIT_AS", "s were over": "deadline",
  "bytes": "result_bytes", "No space left": "tmpfs size", "File too large": "RLIMIT_FSIZE",
  "ended by": "own process", "exited": "own process", "not JSON": "JSON only", "cannot be read":
  "JSON only", "can't start new thread": "seccomp", "Operation not permitted": "seccomp",
  "not allowed to raise": "rlimits", "Too many open files": "RLIMIT_NOFILE",
}  # fmt: skip


def attempt(name: str, world: World, mode: str) -> Outcome:
  """What came of one attempt, as a test of unit_tests would call it.

  On a busy machine a second of processor time can take many: what burns it has time to be stopped
  by its own limit.
  """
  limits = dataclasses.replace(LIMITS, wall_s=30.0) if name in BURNING else LIMITS
  calls = [{"call": "f", "args": [world.facts], "expected": 46}]
  return run_python(PRELUDE + ATTEMPTS[name], calls, limits, layers=MODES[mode])[0]


def stopped_by(outcome: Outcome) -> list[str]:
  """The layers that the errors of an outcome name; the judge's own comparison where none does."""
  text = outcome.reason or str(outcome.value)
  numbers = map(int, re.findall(r"(?:Error |\[Errno )(\d+)", text))
  found = [_ERRORS[number] for number in numbers if number in _ERRORS]
  found += [layer for words, layer in _WORDS.items() if words in text]
  return sorted(set(found)) or ["comparison" if outcome.kind == "value" else "no value"]


def _row(name: str, world: World) -> str:
  outcomes = {mode: attempt(name, world, mode) for mode in MODES}
  said = outcomes["both"].reason or str(outcomes["both"].value)
  cells = [", ".join(stopped_by(outcome)) for outcome in outcomes.values()]
  harm = "; ".join(world.harm()) or "none"
  said = said.replace("|", "/")[:70]
  return f"| {name} | {outcomes['both'].kind}: {said} | {' | '.join(cells)} | {harm} |"


def main() -> None:
  """Prints the table."""
  print(f"layers: {layers()}\n")
  print("| attempt | outcome | stopped by | namespaces alone | Landlock alone | harm |")
  print("| --- | --- | --- | --- | --- | --- |")
  with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
    world = World(pathlib.Path(folder), stack)
    for name in ATTEMPTS:
      print(_row(name, world), flush=True)


if __name__ == "__main__":
  main()
