"""What a judged program may use."""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Limits:
  """Bounds on one program, all of its calls together. It can start no process and no thread.

  cpu_s: processor time, whole seconds, at least 1; as the kernel counts it.
  wall_s: seconds from the start of the program to its end, above 0.
  memory_bytes: address space; Python itself takes about 50 MB of it.
  file_bytes: the largest file that it may write.
  disk_bytes: all files together; they are in memory, and gone with the program.
  files: most files and folders, at least 2.
  open_files: most file descriptors, at least 8.
  result_bytes: all values together as JSON; what it prints is thrown away and counts for nothing.

  Raises:
    ValueError: a limit is out of its range.
  """

  cpu_s: int = 4
  wall_s: float = 8.0
  memory_bytes: int = 512 << 20
  file_bytes: int = 1 << 20
  disk_bytes: int = 16 << 20
  files: int = 256
  open_files: int = 32
  result_bytes: int = 1 << 20

  def __post_init__(self):
    least = {"files": 2, "open_files": 8}
    for name, value in dataclasses.asdict(self).items():
      whole = isinstance(value, int) and not isinstance(value, bool)
      if name == "wall_s":
        fits = isinstance(value, float | int) and 0 < value < math.inf
      else:
        fits = whole and value >= least.get(name, 1)
      if not fits:
        expected = "seconds above 0" if name == "wall_s" else f"an int from {least.get(name, 1)}"
        raise ValueError(f"Limits.{name}={value!r}: expected {expected}")
