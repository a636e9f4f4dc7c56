"""What was typed to start this program."""

import os
import re
import shlex
import sys


def command() -> str:
  """The command, as it can be pasted into a shell; without a drill."""
  typed = [word for word in sys.orig_argv[1:] if not re.match("--?inject_fault=", word)]
  script = bool(typed) and os.access(typed[0], os.X_OK)  # grpo-train, which knows its interpreter
  return shlex.join(typed if script else [os.path.basename(sys.orig_argv[0]), *typed])
