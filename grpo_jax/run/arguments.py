"""The command line: absl's flags, and a line where they cannot be read."""

import os
import re
import runpy
from collections.abc import Sequence

from absl import flags

from grpo_jax.config import ConfigError, Experiment
from grpo_jax.config.fields import children, unknown_field
from grpo_jax.run import shipped
from grpo_jax.run.exits import stop


def parse_flags(argv: Sequence[str]) -> list[str]:
  """absl's flags; an override of a field that is not there names the nearest one."""
  file, chosen = config_file(argv)
  if file is not None and not os.path.isfile(file):
    known = ", ".join(shipped.names())
    stop(f"--config={file}: there is no such file; what comes with the package: {known}")
  if file is not None:
    experiment_of(file, chosen)  # absl would show its errors as a traceback
    argv = with_file(argv, ":".join([file, *chosen]))
  try:
    return flags.FLAGS(list(argv))
  except (KeyError, AttributeError, TypeError, ValueError, ConfigError, flags.Error) as error:
    said = " ".join(str(error).split())
    if "flag --config=None" in said:
      stop("--config is missing: name an experiment, as in --config=tiny_arithmetic")
    stop(_unknown_override(argv) or f"a flag cannot be read: {said} (--helpshort lists them)")


def parse_only_flags(argv: Sequence[str]) -> list[str]:
  """As `parse_flags`, of a command that takes no words: forgotten dashes are refused."""
  left = parse_flags(argv)
  for word in left[1:]:
    known = re.match(r"(\w+)", word)
    if re.match(r"(no)?config\.", word) or (known and known[1] in flags.FLAGS):
      hint = f": did you mean --{word}?"
    elif os.path.isdir(word) and "workdir" in flags.FLAGS:
      hint = f": did you mean --workdir={word}?"
    else:
      hint = f": did you mean --prompt={word!r}?" if "prompt" in flags.FLAGS else ""
    stop(f"{word!r} is no flag{hint}")
  return left


def config_file(argv: Sequence[str]) -> tuple[str | None, list[str]]:
  """The experiment file of --config=FILE, --config FILE or FILE:NAME, and [NAME] for get_config.

  A shipped one may be named alone, see `shipped.find`.
  """
  flags = re.findall(r"^--?config[=\n](.*)$", "\n".join(argv), flags=re.MULTILINE)
  if not flags:
    return None, []
  file, colon, name = flags[-1].partition(":")  # as ml_collections does
  return shipped.find(file), [name] if colon else []


def with_file(argv: Sequence[str], path: str) -> list[str]:
  """The command line with `path` in place of what its last --config names."""
  words = list(argv)
  last = max(i for i, word in enumerate(words) if re.match(r"--?config(=|$)", word))
  if "=" in words[last]:
    words[last] = f"--config={path}"
  else:
    words[last + 1] = path
  return words


def experiment_of(file: str, chosen: list[str]) -> Experiment:
  """What get_config(*chosen) of the file returns; stops with a line where it cannot be had."""
  path = ":".join([file, *chosen])
  try:
    found = runpy.run_path(file)
    if "get_config" not in found:
      stop(f"--config={path}: the file has no function get_config()")
    return found["get_config"](*chosen)
  except ConfigError as error:
    stop(f"--config={path}: {error}")
  except SyntaxError as error:
    stop(f"--config={path}: line {error.lineno}: {error.msg}: {(error.text or '').strip()}")
  except OSError as error:
    stop(f"--config={path}: {error.strerror or error}")
  except Exception as error:  # a name that the file does not know, or whatever else it does
    stop(f"--config={path}: {type(error).__name__}: {' '.join(str(error).split())}")


def _unknown_override(argv: Sequence[str]) -> str | None:
  """The line about the first --config.a.b=... whose path does not exist, if there is one."""
  file, chosen = config_file(argv)
  if file is None:
    return None
  config = experiment_of(file, chosen)
  for argument in argv[1:]:
    match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
    path, here = "config", config
    for name in match[1].split(".") if match else []:
      known = children(here)
      if here is None:
        return f"{argument}: {path} is None, so it has no fields: set it in {file}"
      if name not in known:
        return unknown_field(f"{argument}: {path}", name, known)
      path, here = f"{path}.{name}", known[name]
  return None
