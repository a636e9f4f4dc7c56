"""reasoning-gym, asked in a process of its own, where nothing depends on the process."""

import functools
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from typing import Any

from grpo_jax import isolated
from grpo_jax.config import ConfigError

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(isolated.__file__)), "gym_maker.py")
_TURN = threading.Lock()


def ask(function: str, *arguments: Any) -> Any:
  """What a function of `isolated.gym_maker` returns.

  Raises:
    ConfigError: reasoning-gym is not installed.
    RuntimeError: one line: the function raised, or the process is gone.
  """
  if importlib.util.find_spec("reasoning_gym") is None:
    raise ConfigError("config.Gym needs reasoning-gym: pip install 'grpo_jax[gym]'")
  with _TURN:
    process = _process()
    try:
      pickle.dump((function, arguments), process.stdin)
      process.stdin.flush()
      done, value = pickle.load(process.stdout)
    except (EOFError, OSError) as error:
      _process.cache_clear()
      raise RuntimeError(f"the process of reasoning-gym ended at {function}{arguments}") from error
  if not done:
    raise RuntimeError(f"reasoning-gym: {value}, at {function}{arguments}")
  return value


@functools.cache
def _process() -> Any:
  """Ends when its stdin is closed, by this process or with it."""
  # One hash for a text in all processes: generators go through sets.
  environment = os.environ | {"PYTHONHASHSEED": "0"}
  return subprocess.Popen(
    [sys.executable, "-P", _PROGRAM],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=environment,
    start_new_session=True,  # Ctrl-C is the run's to take
  )
