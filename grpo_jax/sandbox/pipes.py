"""What the judge and the launcher say to each other: bounded in bytes and in time."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import time
from typing import Any, NamedTuple

from grpo_jax.sandbox.limits import Limits

# The launcher keeps the deadline itself; this long after it, from its start, it is ended too.
_GRACE_S = 10.0
_MOST_REPORT = 1 << 16


class Reply(NamedTuple):
  """results: bytes from the judged process; report: from the launcher alone, {} if it had none.

  overflow: whether the results were over their limit, and the process ended for it.
  overdue: whether both had to be killed, for the launcher did not keep the deadline.
  """

  results: bytes
  report: dict[str, Any]
  overflow: bool
  overdue: bool


def receive(process: subprocess.Popen[bytes], request: bytes, limits: Limits) -> Reply:
  """Sends the request and waits for the end; neither process is there afterwards."""
  assert process.stdin is not None
  assert process.stdout is not None
  assert process.stderr is not None
  deadline = time.monotonic() + limits.wall_s + _GRACE_S
  try:
    # The launcher reads all of it before it starts anything.
    with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
      _write(pipe.fileno(), request, deadline)
    results, overflow = _read(process.stdout.fileno(), limits.result_bytes, deadline)
    if overflow:
      process.terminate()
    said, _ = _read(process.stderr.fileno(), _MOST_REPORT, deadline)
  finally:
    overdue = _end(process, deadline)
  return Reply(results, _report(said), overflow, overdue)


def _write(pipe: int, data: bytes, deadline: float) -> None:
  """All of the data, or what a launcher that has stalled takes of it before the deadline."""
  os.set_blocking(pipe, False)
  rest = memoryview(data)
  with selectors.DefaultSelector() as selector:
    selector.register(pipe, selectors.EVENT_WRITE)
    while rest and selector.select(max(0.0, deadline - time.monotonic())):
      rest = rest[os.write(pipe, rest) :]


def _read(pipe: int, most: int, deadline: float) -> tuple[bytes, bool]:
  """The bytes up to the end, the limit or the deadline; whether they are more than the limit."""
  data = bytearray()
  with selectors.DefaultSelector() as selector:
    selector.register(pipe, selectors.EVENT_READ)
    while len(data) <= most and selector.select(max(0.0, deadline - time.monotonic())):
      part = os.read(pipe, 1 << 16)
      if not part:
        break
      data += part
  return bytes(data), len(data) > most


def _end(process: subprocess.Popen[bytes], deadline: float) -> bool:
  """The launcher reaps the judged process and ends; True where it did not, and both were killed."""
  overdue = False
  try:
    process.wait(max(0.0, deadline - time.monotonic()))
  except subprocess.TimeoutExpired:
    overdue = True
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
  for pipe in (process.stdout, process.stderr):
    if pipe is not None:
      pipe.close()
  return overdue


def _report(said: bytes) -> dict[str, Any]:
  report: dict[str, Any] = {}
  try:
    # Up to two: what the judged process refused before it ran anything, and how it ended.
    for line in said.splitlines():
      report |= json.loads(line)
    return report
  except ValueError:  # Python's own words: it did not come as far as ours
    return {"refused": "the launcher failed: " + said.decode(errors="replace")[-300:]}
