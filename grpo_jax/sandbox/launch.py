"""Spawns the launcher: with nothing of this process but three pipes."""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.sandbox.limits import Limits
from grpo_jax.sandbox.pipes import Reply, receive

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Last in the path and taken away again: the standard library comes first, and this is not judged's.
_START = (
  "import sys; sys.path.append({!r});"
  "from grpo_jax.sandbox.child import main; sys.path.pop(); main()"
)
# The same program gives the same sets in the same order. Forgotten before the program runs.
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}


def launch(
  source: str, calls: Sequence[Mapping[str, Any]], limits: Limits, chosen: Sequence[str]
) -> Reply:
  """What a launcher in an empty folder said; folder and processes are gone when this returns."""
  with tempfile.TemporaryDirectory(prefix="grpo_jax_sandbox_") as folder:
    request = {
      "source": source,
      # Never what is expected.
      "calls": [{"call": call["call"], "args": call["args"]} for call in calls],
      "limits": dataclasses.asdict(limits),
      "layers": list(chosen),
      "folder": os.path.realpath(folder),
    }
    process = subprocess.Popen(
      [sys.executable, "-s", "-S", "-P", "-c", _START.format(_ROOT)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      cwd=folder,
      env=_ENVIRONMENT,
      start_new_session=True,
    )
    return receive(process, json.dumps(request).encode(), limits)
