"""Command lines: what is passed on to every trial, and the command of one run."""

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.sweep.options import Options


def overrides(argv: Sequence[str]) -> tuple[str, ...]:
  """The flags --config.FIELD of a command line, each as one word.

  Args:
    argv: with --config.a=b, --config.a b, --config.a and --noconfig.a, which absl all takes.
  """
  found, words = [], list(argv)
  while words:
    word = words.pop(0)
    if not re.match(r"--?(no)?config\.", word):
      continue
    if "=" not in word and words and not re.match(r"-+[a-z]", words[0]):
      word = f"{word}={words.pop(0)}"
    found.append("-" * (2 - len(word) + len(word.lstrip("-"))) + word)
  return tuple(found)


def tracking(options: Options) -> tuple[str, ...]:
  """The flags of a command whose runs are tracked as the options say."""
  if not options.tracker:
    return ()
  return f"--tracker={','.join(options.tracker)}", f"--tracker_project={options.tracker_project}"


def _group(options: Options) -> tuple[str, ...]:
  name = os.path.basename(os.path.abspath(options.workdir))
  return (f"--tracker_group={name}",) if options.tracker else ()


def train_command(options: Options, values: Mapping[str, Any], seed: int, folder: str) -> list[str]:
  """What runs one seed of a trial in `folder`."""
  fields = {path: value for path, value in values.items() if path != "seed"} | {"seed": seed}
  return [
    sys.executable,
    *options.program,
    f"--config={options.file}",
    *options.overrides,
    *(f"--config.{path}={value}" for path, value in fields.items()),
    f"--workdir={folder}",
    *tracking(options),
    *_group(options),
  ]


def as_text(commands: Sequence[Sequence[str]]) -> str:
  """Commands as a shell reads them, one after the other."""
  return " && ".join(map(shlex.join, commands))
