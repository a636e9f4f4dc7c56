"""What was typed to start this program."""

import os
import re
import shlex
import sys


def command() -> str:
  """The command, as it can be pasted into a shell; without a drill."""
  typed = [word for word in sys.orig_argv[1:] if not re.match("--?inject_fault=", word)]
  return shlex.join([os.path.basename(sys.orig_argv[0]), *typed])
