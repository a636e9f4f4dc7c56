"""Runs a program that nobody trusts in a process of its own, and reads what its functions return.

The judge compares; the judged process never sees what is expected, so that all it can forge is an
answer. It holds no thread, fork or state of this process: a launcher is spawned for each program.
"""

import functools
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.sandbox.launch import Reply, launch
from grpo_jax.sandbox.limits import Limits
from grpo_jax.sandbox.outcome import Outcome, one_line, read

_FILE_LAYERS = ("namespaces", "landlock")
_MEMORY_EXIT = 112  # answer.MEMORY_EXIT, which belongs to the other process


class SandboxError(RuntimeError):
  """Programs cannot be contained here; the message is one line: what is missing, what to do."""


def run_python(
  source: str,
  calls: Sequence[Mapping[str, Any]],
  limits: Limits | None = None,
  *,
  layers: Sequence[str] | None = None,
) -> list[Outcome]:
  """Runs the source once, then the calls one after another, in one contained process.

  Args:
    source: a program; its `__name__` is "answer".
    calls: {"call": a name that the program binds, "args": JSON values in order}; the rest of each
      is not passed on.
    limits: of all calls together; `Limits()` where None.
    layers: of "namespaces" and "landlock" those to use, beside rlimits and seccomp; by default all
      that are there, at least one.

  Returns:
    The outcome of each call. Whether a value is right is for the caller to say.

  Raises:
    SandboxError: a layer that is needed is missing.
    ValueError: `layers` names none, or another.
  """
  limits, chosen = limits or Limits(), _chosen() if layers is None else tuple(layers)
  if not chosen or not set(chosen) <= set(_FILE_LAYERS):
    raise ValueError(f"layers={chosen}: expected one or both of {', '.join(_FILE_LAYERS)}")
  reply = launch(source, calls, limits, chosen)
  if "refused" in reply.report:
    raise SandboxError(_refusal(reply.report["refused"]))
  clean = reply.report.get("code") == 0 and not (reply.overflow or reply.overdue)
  return read(reply.results, len(calls), _end(reply, limits), clean=clean)


@functools.cache
def layers() -> dict[str, str | None]:
  """The layers by name, None where one is there and else a line that says what is missing.

  Tried once in a process of its own: "seccomp" with rlimits, then "namespaces" and "landlock".
  """
  if not sys.platform.startswith("linux"):
    return dict.fromkeys(("seccomp", *_FILE_LAYERS), f"needs Linux, and this is {sys.platform}")
  found = {"seccomp": _missing(())}
  return found | {name: _missing((name,)) for name in _FILE_LAYERS}


def check() -> None:
  """Refuses a machine on which programs cannot be contained.

  Raises:
    SandboxError: says what is missing.
  """
  _chosen()


def _chosen() -> tuple[str, ...]:
  there = layers()
  chosen = tuple(name for name in _FILE_LAYERS if there[name] is None)
  if there["seccomp"] is not None:
    raise SandboxError(_refusal(f"seccomp: {there['seccomp']}"))
  if not chosen:
    raise SandboxError(_refusal("; ".join(f"{name}: {there[name]}" for name in _FILE_LAYERS)))
  return chosen


def _refusal(missing: str) -> str:
  return (
    f"programs cannot be contained on this machine, so none is run ({one_line(missing)}): allow"
    " user namespaces, or use Linux 5.13 or newer with Landlock, on x86_64 or aarch64"
  )


def _missing(chosen: Sequence[str]) -> str | None:
  reply = launch("", [], Limits(), chosen)
  return reply.report.get("refused") or (None if "code" in reply.report else "it does not start")


def _end(reply: Reply, limits: Limits) -> Outcome:
  """What calls without an answer came to."""
  if reply.overflow:
    return _ended("invalid", f"its values are over {limits.result_bytes} bytes")
  if reply.overdue or reply.report.get("late"):
    return _ended("timeout", f"its {limits.wall_s:g} s were over")
  if "code" not in reply.report:
    return _ended("error", "its launcher was ended from outside")
  code = reply.report["code"]
  if code == -signal.SIGKILL and reply.report["cpu_s"] > limits.cpu_s - 0.5:
    return _ended("timeout", f"its {limits.cpu_s} s of processor time were over")
  if code == _MEMORY_EXIT:
    return _ended("error", f"its {limits.memory_bytes >> 20} MiB of memory were full")
  if code < 0:
    return _ended("error", f"it was ended by {signal.strsignal(-code)}")
  return _ended("error", f"it exited with code {code} before it had answered")


def _ended(kind: Any, reason: str) -> Outcome:
  return Outcome(kind, reason=reason, ended=True)
