"""Where the device's time went: kernels of a trace by their name, the longest first.

python -m benchmarks.kernels FOLDER [COUNT]

FOLDER is what `--profile=START:STOP` or jax.profiler.trace wrote. A name without its number is a
kind of fusion or product.
"""

import collections
import glob
import os
import re
import sys

from jax.profiler import ProfileData


def kernels(folder: str) -> list[tuple[float, int, str]]:
  """(Milliseconds, calls, name) of each kind of kernel on all devices, the longest first."""
  seconds: collections.Counter[str] = collections.Counter()
  calls: collections.Counter[str] = collections.Counter()
  for path in glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True):
    for plane in ProfileData.from_file(path).planes:
      if not plane.name.startswith("/device:"):
        continue
      for line in plane.lines:
        if not line.name.startswith("Stream"):
          continue
        for event in line.events:
          name = re.sub(r"[._][0-9]+", "", event.name)[:60]
          seconds[name] += event.duration_ns
          calls[name] += 1
  return [(time / 1e6, calls[name], name) for name, time in seconds.most_common()]


def table(folder: str, count: int = 25) -> str:
  """The longest kernels and their share of all."""
  found = kernels(folder)
  whole = sum(time for time, _, _ in found) or 1.0
  rows = [f"{time:10.2f} ms {time / whole:6.1%} {n:6d}  {name}" for time, n, name in found[:count]]
  return "\n".join([f"{whole:10.2f} ms in all", *rows])


if __name__ == "__main__":
  print(table(sys.argv[1], *map(int, sys.argv[2:])))
