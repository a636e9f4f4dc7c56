"""Processes that end while a meeting is slow to come back: a program, one process of COUNT.

python -m tests.parallel.leaving PORT COUNT INDEX
"""

import atexit
import contextlib
import os
import sys
import threading
import time

from grpo_jax.parallel import cluster, parting


def _check() -> None:
  """The last of what is done at exit, for it is registered first."""
  alive = [thread.name for thread in threading.enumerate()]
  print("left" if alive == ["MainThread"] else f"still there: {alive}", flush=True)
  os._exit(alive != ["MainThread"])


@contextlib.contextmanager
def _slow_to_return():
  try:
    yield
  finally:
    time.sleep(1)


if __name__ == "__main__":
  port, count, index = map(int, sys.argv[1:])
  atexit.register(_check)
  parting._meet = _slow_to_return()(parting._meet)
  cluster.start(f"127.0.0.1:{port}", count, index, heartbeat_timeout_s=16)
