"""What is compiled: functions that a config describes, under the names that profiles show."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import jax

Config = TypeVar("Config")
# config -> the function that it describes
Build = Callable[[Config], Callable]


class Programs:
  """The compiled functions of all kinds of devices.

  A function is given as what builds it from its config, so that where many runs share one program
  the numbers in the config can be arrays.
  """

  def placed(self, function: Callable) -> Callable:
    """The function with what it gives put where the devices keep it."""
    return function

  def compile(self, function: Callable, *, donate: tuple[int, ...] = ()) -> Callable:
    """Compiles a function whose first argument is a state, and whose others are split."""
    raise NotImplementedError

  def program(
    self, build: Build, config: Any, *, name: str, donate: tuple[int, ...] = ()
  ) -> Callable:
    """Compiles build(config), as `compile` does.

    Args:
      build, config: as above.
      name: other than that of any other program of the run, STAGE/WHAT for a stage's own.
      donate: arguments whose memory the result may take.
    """
    return self.compile(named(build(config), name), donate=donate)

  def alone(self, build: Build, config: Any, *, name: str) -> Callable:
    """Compiles build(config) for whole arrays on one device."""
    return jax.jit(named(build(config), name))


def named(function: Callable, name: str) -> Callable:
  """The function under another name."""

  def program(*args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)

  program.__name__ = re.sub(r"\W", "_", name)
  return program
