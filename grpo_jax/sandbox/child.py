"""The launcher: a process that contains itself, runs one program, and says how it ended.

Started by `launch.launch`, with a request on stdin. Two processes: the supervisor, which keeps the
time and reaps, and the judged one. Values are written to stdout, how it ended to stderr, as JSON.
Forking is safe here: nothing has started a thread.
"""

import json
import os
import resource
import signal
import sys
from typing import Any

from grpo_jax.sandbox import answer, kernel, landlock, namespaces, seccomp, visible

_RESULT = 3


def main() -> None:
  """Reads the request, runs it, reports."""
  request = json.loads(sys.stdin.buffer.read())
  try:
    if "namespaces" in request["layers"]:
      namespaces.enter()
    kernel.die_with_parent()
    judged = os.fork()
  except OSError as error:
    _say({"refused": str(error)})
    return
  if judged:
    _supervise(judged, request["limits"]["wall_s"])
  else:
    _judge(request)
  os._exit(0)


def _supervise(judged: int, wall_s: float) -> None:
  """Waits for the end, and brings it at the deadline, or where the parent asks for it."""
  late = False

  def stop(number: int, _: object) -> None:
    nonlocal late
    late = number == signal.SIGALRM
    os.kill(judged, signal.SIGKILL)

  signal.signal(signal.SIGALRM, stop)
  signal.signal(signal.SIGTERM, stop)
  signal.setitimer(signal.ITIMER_REAL, wall_s)
  os.close(1)  # or the parent would not see the judged process close it
  _, status, usage = os.wait4(judged, 0)
  signal.setitimer(signal.ITIMER_REAL, 0)
  spent = usage.ru_utime + usage.ru_stime
  _say({"code": os.waitstatus_to_exitcode(status), "late": late, "cpu_s": spent})


def _judge(request: dict[str, Any]) -> None:
  """Contains this process, then runs the program; never returns into code of ours."""
  limits = request["limits"]
  try:
    os.dup2(1, _RESULT)
    nothing = os.open("/dev/null", os.O_RDWR)
    kernel.die_with_parent()
    _contain(request["layers"], request["folder"], limits)
    for standard in (0, 1, 2):
      os.dup2(nothing, standard)
    os.closerange(_RESULT + 1, max(nothing, limits["open_files"]) + 1)
  except Exception as error:
    _say({"refused": str(error)})
    os._exit(1)
  os.environ.clear()
  answer.run(request["source"], request["calls"], _RESULT, limits["result_bytes"])


def _contain(layers: list[str], folder: str, limits: dict[str, Any]) -> None:
  """All layers, the filter of system calls last: it would forbid the others."""
  view = visible.view()
  own_files = "namespaces" in layers
  with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
    file.write("1000")  # where the machine's memory is full, this process goes first
  if own_files:
    namespaces.change_root(folder, view, limits["disk_bytes"], limits["files"])
  kernel.no_new_privileges()
  if "landlock" in layers:
    readable, listable = visible.without(view.readable, view.hidden)
    home = namespaces.HOME if own_files else None
    landlock.restrict(readable, [*listable, os.getcwd()], home)
  kernel.drop_capabilities()
  kernel.die_with_parent()  # once more: a change of rights clears it
  _limit(limits)
  seccomp.install(writable=own_files)


def _limit(limits: dict[str, Any]) -> None:
  for name, most in (
    ("CPU", limits["cpu_s"]), ("AS", limits["memory_bytes"]), ("FSIZE", limits["file_bytes"]),
    ("NOFILE", limits["open_files"]), ("NPROC", 0), ("CORE", 0), ("MEMLOCK", 0), ("MSGQUEUE", 0),
  ):  # fmt: skip
    number = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(number)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(number, (most, most))


def _say(report: dict[str, Any]) -> None:
  os.write(2, json.dumps(report).encode() + b"\n")
