"""Stands for experiments.train: writes a run's figures in a blink, or fails as it is told.

seed, lr and group_size of the flags say what: the score is 100 lr + seed / 1000, and the group size
names a mishap below. A second start on a folder goes on after the lines that are there.
"""

import json
import os
import pathlib
import signal
import sys
import time

FINE, ERROR, KILLED, HANGS, NAN, SILENT, MEMORY, SLOW, TOLD = range(2, 11)
_STEPS = 6


def main():
  flags = dict(argument.lstrip("-").split("=", 1) for argument in sys.argv[1:])
  mishap = int(flags.get("config.stages.grpo.rollout.group_size", FINE))
  score = 100 * float(flags.get("config.stages.grpo.optimizer.lr", 0.001))
  score += int(flags["config.seed"]) / 1000
  os.makedirs(flags["workdir"], exist_ok=True)
  path = os.path.join(flags["workdir"], "metrics.jsonl")
  done = pathlib.Path(path).read_text().count("\n") if os.path.exists(path) else 0
  print(f"starts after {done} lines on cores {sorted(os.sched_getaffinity(0))}", flush=True)
  with open(path, "a") as file:
    for step in range(done, _STEPS + 1):
      if step == 3:
        _befalls(mishap)
      if mishap == SLOW:
        time.sleep(0.15)
      value = None if mishap == NAN else score * step / _STEPS
      name = "eval/length" if mishap == SILENT else "eval/accuracy"
      print(json.dumps({"stage": "grpo", "step": step, name: value}), file=file, flush=True)


def _befalls(mishap):
  if mishap == ERROR:
    raise ValueError("a bad thing")
  if mishap == TOLD:
    sys.exit(f"error: config.seed={0}: what a person can mend")
  if mishap == KILLED:
    os.kill(os.getpid(), signal.SIGKILL)
  if mishap == HANGS:
    time.sleep(600)
  if mishap == MEMORY:
    print("jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: 9 GB asked for", flush=True)
    os._exit(1)


if __name__ == "__main__":
  main()
