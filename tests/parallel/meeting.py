"""What several processes come to together: a program, one process of COUNT.

python -m tests.parallel.meeting PORT COUNT INDEX
"""

import sys

import numpy as np

from grpo_jax.config import ConfigError
from grpo_jax.parallel import Devices, cluster, processes
from grpo_jax.rewards import score


def _raised(action, kind=ConfigError) -> str:
  try:
    action()
  except kind as error:
    return str(error)
  raise AssertionError("nothing was raised")


def meet(count: int, index: int) -> None:
  """Asserts what each process gets."""
  assert (processes.count(), processes.index()) == (count, index)
  own = {"a": np.float32([[index, np.nan]]), "b": np.array([index == 1])}
  whole = processes.gather(own)
  np.testing.assert_array_equal(whole["a"][:, 0], np.arange(count))
  np.testing.assert_array_equal(whole["b"], np.arange(count) == 1)
  wide = processes.gather(np.array([2**53 + index]))  # no type of the devices
  assert wide.tolist() == [2**53 + n for n in range(count)]
  # Five rows, which no number of processes but one divides.
  assert processes.shared(lambda rows: np.arange(5)[rows], 5).tolist() == [0, 1, 2, 3, 4]
  assert processes.shared(lambda rows: np.arange(1)[rows], 1).tolist() == [0]
  assert processes.agree(index == 1)
  assert not processes.agree(False)
  assert processes.decided(index == 0)
  assert not processes.decided(index == 1)
  _fail(index)
  _split(count)
  _score()
  processes.check_same("alike", "config")
  said = _raised(lambda: processes.check_same(str(index), "config"))
  assert said == "process 1 was started with another config than process 0"


def _fail(index: int) -> None:
  def work(rows):
    if index == 1:
      raise ValueError("no such file")
    return np.zeros(rows.stop - rows.start)

  kind = ValueError if index == 1 else ConfigError
  assert _raised(lambda: processes.shared(work, 8), kind) == "no such file"


def _split(count: int) -> None:
  """Each has its rows on its devices, and all get them back."""
  devices, rows = Devices(count, "devices"), np.arange(4.0 * count, dtype=np.float32)
  double = devices.compile(lambda factor, part: factor * part)
  found = devices.join(double(devices.replicate(np.float32(2)), devices.split(rows)))
  np.testing.assert_array_equal(found, 2 * rows)


def _score() -> None:
  """Each needs the texts of its own prompts, and a reward may raise on all of one process's."""
  rows = processes.own_rows(4)
  texts = [["1", "2"] if rows.start <= row < rows.stop else ["", ""] for row in range(4)]
  fields = [{"answer": "1"}] * 4
  scores = score({"number": 1.0}, ["?"] * 4, texts, fields)
  assert scores.total.tolist() == [[1, 0]] * 4
  path = f"{__file__.removesuffix('.py')}_reward.py"
  scores = score({f"{path}:raises": 1.0}, ["?"] * 4, texts, [{"row": row} for row in range(4)])
  assert scores.failures["error"] == 2
  np.testing.assert_array_equal(scores.total, [[np.nan] * 2] + [[1, 1]] * 3)
  said = _raised(lambda: score({f"{path}:always": 1.0}, ["?"] * 4, texts, [{}] * 4), RuntimeError)
  # A third process has no prompt.
  last = "see the log of another process" if rows.start == 4 else "KeyError"
  assert f"failed on all 8 answers (8 error): {last}" in said


if __name__ == "__main__":
  port, count, index = map(int, sys.argv[1:])
  cluster.start(f"127.0.0.1:{port}", count, index, heartbeat_timeout_s=8)
  meet(count, index)
  print("met")
