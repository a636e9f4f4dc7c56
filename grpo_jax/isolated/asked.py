"""What a scorer of reasoning-gym is given."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class GymAsked:
  """A question of reasoning-gym.

  A class of its own, which no row of a data file can be: the entry is unpickled.

  name, fields: of the task. entry: as reasoning-gym made it, pickled.
  """

  name: str
  fields: dict[str, Any]
  entry: bytes
