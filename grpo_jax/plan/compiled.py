"""What the compiler says that a program needs, beside what the formulae say."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Compiled:
  """Bytes of one device that a compiled program asks for.

  alias: bytes of outputs in the room of donated arguments. temp: what lives while it runs.
  """

  argument: int
  output: int
  alias: int
  temp: int

  @property
  def new(self) -> int:
    """Bytes beside its arguments."""
    return self.output - self.alias + self.temp

  @property
  def total(self) -> int:
    """The most that is held at one time, arguments included."""
    return self.argument + self.new


def from_analysis(stats: Any) -> Compiled:
  """From `memory_analysis()` of a compiled program, of any device it was compiled for."""
  names = (field.name for field in dataclasses.fields(Compiled))
  return Compiled(**{name: getattr(stats, f"{name}_size_in_bytes") for name in names})
