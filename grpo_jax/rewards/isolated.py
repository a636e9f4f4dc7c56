"""Built-in rewards whose libraries may hang, or run what a model wrote: called in workers alone."""

import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

from grpo_jax import isolated
from grpo_jax.config import ConfigError

_FOLDER = os.path.dirname(os.path.abspath(isolated.__file__))


@dataclasses.dataclass(frozen=True)
class Isolated:
  """A function of a file of `grpo_jax.isolated`.

  name: the reward's. module: the file's, without .py. function: its name there.
  library, extra: what the file imports, and the extra that brings it.
  """

  name: str
  module: str
  function: str
  library: str
  extra: str

  @property
  def path(self) -> str:
    """The file, for workers to load."""
    return os.path.join(_FOLDER, f"{self.module}.py")

  def check(self) -> None:
    """Raises ConfigError where the library is missing."""
    if importlib.util.find_spec(self.library) is None:
      raise ConfigError(
        f"reward {self.name!r} needs {self.library}: pip install 'grpo_jax[{self.extra}]'"
      )

  def refusal(self) -> ConfigError:
    """What there is to say where there are no workers."""
    return ConfigError(
      f"reward {self.name!r} is called in worker processes alone, which are ended where it hangs:"
      " config.scoring.workers must be 1 or more"
    )

  def __call__(self, prompt: str, completion: str, fields: Mapping[str, Any]) -> float:
    """Refuses: nothing here could end it."""
    raise self.refusal()


ISOLATED = {
  "math": Isolated("math", "maths", "equal", "math_verify", "math"),
  "gym": Isolated("gym", "gym", "score", "reasoning_gym", "gym"),
  "gym_exact": Isolated("gym_exact", "gym", "exact", "reasoning_gym", "gym"),
}
