"""Kills a run at random moments until it has been killed often enough, and compares what comes out.

python -m tests.faults.soak [--kills=50] [--modes=single,pmap,mesh] [--seed=0]

Every run has a stage of every kind. Most kills are SIGKILL; one in four is SIGTERM, which has to
end the run with its state saved, by 143 and within ten seconds. A run that has got to its end is
compared with one that nobody touched: figures, samples and all parameters, bit for bit.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np
from absl import app, flags, logging

from tests import quick

_KILLS = flags.DEFINE_integer("kills", 50, "How often a run is killed, all modes together.")
_MODES = flags.DEFINE_list("modes", ["single", "pmap", "mesh"], "Modes, in turn.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the moments.")
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_LIMIT_S = 10.0


def main(_: list[str]) -> None:
  """Says how each run went, and exits with 1 where one came out otherwise."""
  logging.set_verbosity(logging.WARNING)
  moments = random.Random(_SEED.value)
  with tempfile.TemporaryDirectory() as folder:
    for number, mode in enumerate(_MODES.value):
      share = (_KILLS.value + len(_MODES.value) - 1 - number) // len(_MODES.value)
      soak(mode, share, moments, os.path.join(folder, mode))


def soak(mode: str, kills: int, moments: random.Random, folder: str) -> float:
  """Kills runs of a mode so many times in all; the longest that one took to end by SIGTERM."""
  _ended(_start(mode, f"{folder}/whole"), 0)
  whole, began = outcome(f"{folder}/whole"), time.monotonic()
  _ended(_start(mode, f"{folder}/again"), 0)  # the first had everything to compile
  seconds = time.monotonic() - began
  slowest, left, runs = 0.0, kills, 0
  while left:
    runs += 1
    while True:
      number = signal.SIGTERM if moments.random() < 0.25 else signal.SIGKILL
      took = _killed(_start(mode, f"{folder}/{runs}"), number, moments.uniform(0, seconds), left)
      if took is None:
        break
      slowest, left = max(slowest, took), left - 1
    if (found := outcome(f"{folder}/{runs}")) != whole:
      raise SystemExit(f"{mode}: run {runs} is another run: {differences(whole, found)}")
    print(f"{mode}: run {runs} as if nothing had been; {left} kills left", flush=True)
  print(
    f"{mode}: {kills} kills in {runs} runs; at most {slowest:.1f} s to end by SIGTERM", flush=True
  )
  return slowest


def _start(mode: str, workdir: str) -> subprocess.Popen:
  flags = quick.xla_flags(1 if mode == "single" else 4)
  own = {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", quick.UNOPTIMISED: "1"}
  config = f"--config=tests/faults/every.py:{mode}"
  return subprocess.Popen(
    [sys.executable, "-m", "experiments.train", config, f"--workdir={workdir}"],
    cwd=_ROOT,
    env=os.environ | own,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
  )


def _ended(process: subprocess.Popen, *codes: int) -> str:
  said, _ = process.communicate()
  if process.returncode not in codes:
    raise SystemExit(f"exit code {process.returncode}, not {codes}:\n{said[-3000:]}")
  return said


def _killed(process: subprocess.Popen, number: int, delay: float, left: int) -> float | None:
  """Sends the signal after so many seconds: seconds until it ended, None where it had before."""
  if not left:
    _ended(process, 0)
    return None
  try:
    process.wait(timeout=delay)
  except subprocess.TimeoutExpired:
    began = time.monotonic()
    process.send_signal(number)
    # By SIGTERM also before the run has begun to listen, and where it was at its end.
    codes = (-number,) if number == signal.SIGKILL else (-number, 128 + number, 0)
    _ended(process, *codes)
    took = time.monotonic() - began
    if number == signal.SIGTERM and took > _LIMIT_S:
      raise SystemExit(f"{took:.1f} s to end by SIGTERM, more than {_LIMIT_S}") from None
    return took
  _ended(process, 0)
  return None


def outcome(workdir: str) -> dict[str, Any]:
  """What a run has come to, without clock and machine."""
  found: dict[str, Any] = {}
  for name in ("metrics", "samples"):
    with open(os.path.join(workdir, f"{name}.jsonl"), encoding="utf-8") as file:
      found[name] = [
        {k: v for k, v in json.loads(line).items() if not k.startswith(("time/", "memory/"))}
        for line in file
      ]
  return found | {"parameters": _parameters(workdir)}


def _parameters(workdir: str) -> list[bytes]:
  import jax

  from grpo_jax.config import Checkpoint
  from grpo_jax.run.checkpoint import Checkpointer

  checkpoints = Checkpointer(workdir, Checkpoint())
  found = [checkpoints.saved(number) for number in checkpoints.numbers()[-1:]]
  checkpoints.close()
  return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(found)]


def differences(whole: dict[str, Any], found: dict[str, Any]) -> str:
  """Where two outcomes part."""
  for name, lines in whole.items():
    for number, (one, other) in enumerate(zip(lines, found[name], strict=False)):
      if one != other:
        return f"{name} {number}: {str(one)[:300]} and {str(other)[:300]}"
    if len(lines) != len(found[name]):
      return f"{name}: {len(lines)} and {len(found[name])}"
  return "nowhere"


if __name__ == "__main__":
  app.run(main)
