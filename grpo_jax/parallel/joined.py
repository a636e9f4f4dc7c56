"""Equal calls of members, made together: one program over a leading axis of members."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from grpo_jax.config.values import with_values
from grpo_jax.parallel.lanes import Lane, Stack, stacked
from grpo_jax.parallel.programs import Build, named

# Requests that compute nothing: arrays are put where programs find them.
PLACE, STACK = "place", "stack"


@dataclasses.dataclass(eq=False)
class Request:
  """A call that a member waits for.

  key: of equal ones all can be made together. values: of the config's fields that members vary.
  """

  key: Any
  name: str
  build: Build | None
  config: Any
  values: Mapping[str, Any]
  args: tuple
  donate: tuple[int, ...]
  done: threading.Event = dataclasses.field(default_factory=threading.Event)
  result: Any = None
  error: BaseException | None = None


class Joined:
  """The compiled programs of the members of a meeting.

  Args:
    members: K. together: members that the device works on at one time, a divisor of K.
    device: where what they place is put; None, of a mesh, leaves it where it is.
  """

  def __init__(self, members: int, together: int, device: Any = None):
    self._members, self._together, self._device = members, together, device
    self._programs: dict[Any, Callable] = {}

  def call(self, group: dict[int, Request], live: int) -> Callable[[int], Any]:
    """Makes one call for all of a group, of `live` members: member -> what it gets."""
    first, alone = group[min(group)], len(group) == 1
    places = {index: at for at, index in enumerate(sorted(group))}
    lanes = [group[index] for index in places]
    if not alone:  # a lane that nobody asks for does what the first one does
      lanes += [first] * (self.lanes(len(group)) - len(lanes))
    flat = [jax.tree.flatten((request.values, request.args)) for request in lanes]
    structure, donated, stack = flat[0][1], _donated(first), first.name == STACK
    if alone:
      # What is to be donated later may not be anyone else's.
      found = [(jnp.copy(_cut(leaf)) if stack else _cut(leaf), False) for leaf in flat[0][0]]
    else:
      keeps = [given and len(group) < live for given in donated]
      columns = zip(*(leaves for leaves, _ in flat), keeps, strict=True)
      found = [stacked(column, len(group), keep=keep, share=not stack) for *column, keep in columns]
    parted = [split for _, split in found]
    if first.build is None:
      placed = [
        Stack(self._committed(jnp.asarray(leaf))) if split else self._committed(leaf)
        for leaf, split in found
      ]
      return lambda index: _placed(structure, placed, places[index])
    key = (first.key, len(lanes), tuple(parted))
    if key not in self._programs:
      self._programs[key] = self._compile(first, structure, parted, donated, alone)
    result = self._programs[key](*(leaf for leaf, _ in found))
    if not any(parted):
      return lambda index: result
    stacks = jax.tree.map(Stack, result)
    return lambda index: jax.tree.map(lambda stack: Lane(stack, places[index]), stacks)

  def lanes(self, asking: int) -> int:
    """Lanes for so many: all, or where half of them and fewer ask, half as many, and so on."""
    size = self._members
    while size % 2 == 0 and (size // 2) % self._together == 0 and size // 2 >= asking:
      size //= 2
    return size

  def _committed(self, leaf: Any) -> Any:
    """An array that is bound to the device.

    A program's results are bound as soon as one of its arguments is, and for bound arguments jit
    compiles again: so all that is placed is bound from the first step on.
    """
    bound = isinstance(leaf, jax.Array) and leaf.committed and leaf.devices() == {self._device}
    return leaf if bound or self._device is None else jax.device_put(leaf, self._device)

  def _compile(
    self, request: Request, structure: Any, parted: list, donated: list, alone: bool
  ) -> Callable:
    """The program of some leaves that every member has of its own, and of others that all share."""

    def one(*leaves: Any) -> Any:
      values, args = jax.tree.unflatten(structure, leaves)
      assert request.build is not None
      return request.build(with_values(request.config, values))(*args)

    one = named(one, request.name)
    if not any(parted):
      # One alone, or all the same for all who ask, whose arrays are then not theirs to give.
      given = [at for at, own in enumerate(donated) if own] if alone else []
      return jax.jit(one, donate_argnums=tuple(given))
    many = named(over_members(one, parted, self._together), request.name)
    donate = [at for at, given in enumerate(donated) if given and parted[at]]
    return jax.jit(many, donate_argnums=tuple(donate))


def _donated(request: Request) -> list[bool]:
  """For each leaf of values and arguments, whether it is of an argument that is donated."""
  found = [False] * len(request.values)
  args, *others = request.args
  for at, argument in enumerate(args):
    found += [at in request.donate] * len(jax.tree.leaves(argument))
  return found + [False] * len(jax.tree.leaves(others))


def _cut(leaf: Any) -> Any:
  return leaf.device() if isinstance(leaf, Lane) else leaf


def _placed(structure: Any, placed: list[Any], index: int) -> Any:
  """A member's own lanes of what differs, and the rest as it is."""
  leaves = [Lane(leaf, index) if isinstance(leaf, Stack) else leaf for leaf in placed]
  return jax.tree.unflatten(structure, leaves)[1][0][0]


def over_members(one: Callable, parted: list[bool], together: int) -> Callable:
  """A member's function -> that of all, `together` side by side and one such group after another.

  Args:
    one: of leaves. parted: which of them have a leading axis of members; the others are shared.
    together: a divisor of their number.
  """

  def many(*leaves: Any) -> Any:
    own = [leaf for leaf, split in zip(leaves, parted, strict=True) if split]

    def some(part: list) -> Any:
      waiting = iter(part)
      given = [next(waiting) if split else leaf for leaf, split in zip(leaves, parted, strict=True)]
      if together == 1:
        return one(*given)
      return jax.vmap(one, in_axes=[0 if split else None for split in parted])(*given)

    K = len(own[0])
    if together == K > 1:
      return some(own)
    if together == 1:
      return jax.lax.map(some, own)
    groups = [leaf.reshape(-1, together, *leaf.shape[1:]) for leaf in own]
    found = jax.lax.map(some, groups)
    return jax.tree.map(lambda leaf: leaf.reshape(K, *leaf.shape[2:]), found)

  return many
