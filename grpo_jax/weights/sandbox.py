"""Renders chat templates in a process of its own: a JSON request a line in, a reply a line out.

A template is a program that came with a model file. Jinja's sandbox keeps it from Python's
objects, but not from looping or growing without end: the kernel's limits on this process do.
Run as a script by `chat.Renderer`; it imports nothing of grpo_jax, so that it starts at once.
"""

import json
import resource
import sys
from typing import Any

from jinja2.sandbox import ImmutableSandboxedEnvironment

CPU_SECONDS = 2
MEMORY_BYTES = 1 << 30
LONGEST_TEXT = 1_000_000
LONGEST_ERROR = 1000


class RefusedError(Exception):
  """What a template raises by raise_exception, or the limit on its text."""


def environment() -> ImmutableSandboxedEnvironment:
  """Jinja as transformers sets it up for chat templates; its `range` stops at 100 000."""
  made = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
  )
  made.globals["raise_exception"] = _refuse
  made.filters["tojson"] = _tojson
  return made


def render(jinja: ImmutableSandboxedEnvironment, request: dict[str, Any]) -> str:
  """The text of a request: {"template": source, "values": what the template sees}."""
  pieces, length = [], 0
  for piece in jinja.from_string(request["template"]).generate(**request["values"]):
    pieces.append(piece)
    length += len(piece)
    if length > LONGEST_TEXT:
      raise RefusedError(f"it writes over {LONGEST_TEXT} characters")
  return "".join(pieces)


def _refuse(message: Any) -> None:
  raise RefusedError(f"it refuses the conversation: {str(message)[:LONGEST_ERROR]}")


def _tojson(value: Any, indent: int | None = None) -> str:
  # Jinja's own escapes <, > and &, which belong in a prompt as they are.
  return json.dumps(value, ensure_ascii=False, indent=indent)


def _limit(kind: int, most: int) -> None:
  # The hard limit stays as it is: one that a cluster has set cannot be raised.
  hard = resource.getrlimit(kind)[1]
  resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _limit_process() -> None:
  _limit(resource.RLIMIT_CORE, 0)
  _limit(resource.RLIMIT_AS, MEMORY_BYTES)
  # Behind Jinja's sandbox, should it have a hole: no bytes into files, no process of its own.
  resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
  resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _limit_cpu() -> None:
  # Processor time, unlike a clock, does not run while a busy machine makes us wait.
  spent = resource.getrusage(resource.RUSAGE_SELF)
  soft = int(spent.ru_utime + spent.ru_stime) + 1 + CPU_SECONDS
  _limit(resource.RLIMIT_CPU, soft)


def main() -> None:
  """Answers requests until there are no more: the limits end the process, not this loop."""
  _limit_process()
  jinja = environment()
  for line in sys.stdin:
    _limit_cpu()
    try:
      reply = {"text": render(jinja, json.loads(line))}
    except RefusedError as error:
      reply = {"error": str(error)}
    except Exception as error:  # a template can make any operation fail
      reply = {"error": f"it fails with {type(error).__name__}: {str(error)[:LONGEST_ERROR]}"}
    print(json.dumps(reply), flush=True)


if __name__ == "__main__":
  main()
