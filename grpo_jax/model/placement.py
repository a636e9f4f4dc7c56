"""Where arrays are to live: what a model asks for, and whoever lays out devices answers."""

import dataclasses
from typing import Any

import jax


@dataclasses.dataclass(frozen=True)
class Placement:
  """The answers of one device: everything stays where it is. A mesh has others, in `parallel`.

  Placements change no value. They are hashable, as a network is.
  """

  @property
  def parts(self) -> int:
    """Devices that the weights of a layer, the heads and the vocabulary are split over."""
    return 1

  def rows(self, tree: Any, axis: int = 0, heads: int | None = None) -> Any:
    """Arrays whose `axis` is of prompts, or of tokens of many: split over devices that divide it.

    heads: an axis of heads, each where the weights of its layer are. All other axes are whole.
    """
    return tree

  def cuts(self, prompts: int, group: int) -> int:
    """Parts to cut each of the groups into, a divisor of `group`, so that every device has one."""
    return 1

  def gathered(self, params: Any) -> Any:
    """Weights as a layer's products read them, by the names in `params`."""
    return params

  def served(self, name: str, weight: jax.Array) -> jax.Array:
    """A weight as decoding reads it at every token, outputs first; `name` as parameters have it."""
    return weight


ANYWHERE = Placement()
