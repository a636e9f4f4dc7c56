"""Several processes of one run on this machine, as a person would start them on several."""

import dataclasses
import os
import socket
import subprocess
import sys

from tests import quick

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass(frozen=True)
class Ended:
  """How a process has ended."""

  code: int
  out: str
  err: str


def start(module: str, arguments: list[str], devices: int) -> subprocess.Popen:
  """One process, with as many devices that are not there."""
  return subprocess.Popen(
    [sys.executable, "-m", module, *arguments],
    cwd=_ROOT,
    env=os.environ | {"XLA_FLAGS": quick.xla_flags(devices), "JAX_PLATFORMS": "cpu"},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def train(
  workdir, count: int, *flags: str, devices: int, config: str = "tests/run/short.py"
) -> list[subprocess.Popen]:
  """The processes of `experiments.train` with `devices` each; one is started without ceremony."""
  arguments = [f"--config={config}", f"--workdir={workdir}"]
  arguments += flags
  if count == 1:
    return [start("experiments.train", arguments, devices)]
  arguments += ["--distributed", f"--coordinator_address=127.0.0.1:{free_port()}"]
  arguments += [f"--process_count={count}"]
  return [
    start("experiments.train", [*arguments, f"--process_index={index}"], devices)
    for index in range(count)
  ]


def ended(started: list[subprocess.Popen], seconds: float = 300) -> list[Ended]:
  """Waits for all; those that take too long are killed, and fail the test."""
  try:
    texts = [process.communicate(timeout=seconds) for process in started]
  finally:
    for process in started:
      process.kill()
  return [Ended(process.returncode, *text) for process, text in zip(started, texts, strict=True)]


def free_port() -> int:
  """A port of this machine alone that nobody listens on."""
  with socket.socket() as found:
    found.bind(("127.0.0.1", 0))
    return found.getsockname()[1]
