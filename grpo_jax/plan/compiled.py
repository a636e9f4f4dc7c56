"""What the compiler says that a program needs, beside what the formulae say."""

import dataclasses


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
