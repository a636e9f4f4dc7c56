"""Members of a population: whole runs of their own, whose compiled calls are made together.

Each member is a thread that runs as any run does, but for its devices: what it would compile and
call, it asks of the meeting. Once every member waits there, those that ask for the same program get
it in one call, over a leading axis of members. So a member does what it would do alone, whatever
its rewards, stages, stop rules and checkpoints are. Nobody waits for one that has ended or failed,
and once half are gone no more than half are computed.
"""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import Stage
from grpo_jax.config.values import value_at, with_values
from grpo_jax.model import Network
from grpo_jax.parallel.devices import Devices
from grpo_jax.parallel.lanes import Lane, Stack, stacked, to_host
from grpo_jax.parallel.mesh import MeshDevices
from grpo_jax.parallel.programs import Build, Programs, named
from grpo_jax.types import TrainState

# Requests that compute nothing: arrays are put where programs find them.
_PLACE, _STACK = "place", "stack"


class StoppedError(Exception):
  """The meeting has ended, and members with it."""


@dataclasses.dataclass(eq=False)
class _Request:
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


class Meeting:
  """Where members' calls meet.

  Args:
    size: K, the members. vary: by stage, the paths below its config whose values members vary.
    together: members that the device works on at one time, a divisor of K.
    device: where; None is the first, or of a mesh all.
    base: the devices that a member has.
  """

  def __init__(
    self,
    size: int,
    vary: Mapping[str, tuple[str, ...]],
    together: int,
    device: Any = None,
    base: Devices | MeshDevices | None = None,
  ):
    self.size, self.vary, self.together, self.device = size, vary, together, device
    self.base = base or Devices(1, None)
    self.turn = threading.Lock()
    self._shared: dict[int, tuple[Any, Any]] = {}
    self._changed = threading.Condition()
    self._live = set(range(size))
    self._waiting: dict[int, _Request] = {}
    self._programs: dict[Any, Callable] = {}
    self._over = False

  def member(self, index: int) -> "Member":
    """The devices of a member."""
    return Member(self, index)

  def once(self, tree: Any, place: Callable[[Any], Any]) -> Any:
    """place(tree), where a leaf that another member has too is the same one for both."""
    with self._changed:
      return jax.tree.map(
        lambda leaf, put: self._shared.setdefault(id(leaf), (leaf, put))[1], tree, place(tree)
      )

  def ask(self, index: int, request: _Request) -> Any:
    """Waits for the call of a member; raises what it raises.

    Raises:
      StoppedError: the meeting is over.
    """
    with self._changed:
      if self._over:
        raise StoppedError
      self._waiting[index] = request
      self._changed.notify_all()
    request.done.wait()
    if request.error is not None:
      raise request.error
    return request.result

  def leave(self, index: int) -> None:
    """The member has ended: no one waits for it."""
    with self._changed:
      self._live.discard(index)
      self._changed.notify_all()

  def serve(self) -> None:
    """Makes the members' calls, until all have left or it is stopped."""
    try:
      while True:
        with self._changed:
          self._changed.wait_for(lambda: self._over or len(self._waiting) == len(self._live))
          if self._over or not self._live:
            return
          group = self._next()
        with jax.default_device(self.device):
          self._answer(group)
    finally:
      self.stop()

  def _next(self) -> dict[int, _Request]:
    """Takes the largest number of equal requests; of equal numbers that of the lowest member."""
    groups: dict[Any, dict[int, _Request]] = {}
    for index in sorted(self._waiting):
      groups.setdefault(self._waiting[index].key, {})[index] = self._waiting[index]
    group = max(groups.values(), key=len)
    for index in group:
      del self._waiting[index]
    return group

  def _answer(self, group: dict[int, _Request]) -> None:
    try:
      results = self._call(group)
      for index, request in group.items():
        request.result = results(index)
    except BaseException as error:
      for request in group.values():  # theirs, to be raised where they asked
        request.error = error if isinstance(error, Exception) else StoppedError()
      if not isinstance(error, Exception):
        raise
    finally:
      for request in group.values():
        request.done.set()

  def _call(self, group: dict[int, _Request]) -> Callable[[int], Any]:
    """Makes one call for all of a group: member -> what it gets."""
    first, alone = group[min(group)], len(group) == 1
    places = {index: at for at, index in enumerate(sorted(group))}
    lanes = [group[index] for index in places]
    if not alone:  # a lane that nobody asks for does what the first one does
      lanes += [first] * (self._size(len(group)) - len(lanes))
    flat = [jax.tree.flatten((request.values, request.args)) for request in lanes]
    structure, donated, stack = flat[0][1], _donated(first), first.name == _STACK
    if alone:
      # What is to be donated later may not be anyone else's.
      found = [(jnp.copy(_cut(leaf)) if stack else _cut(leaf), False) for leaf in flat[0][0]]
    else:
      keeps = [given and len(group) < len(self._live) for given in donated]
      columns = zip(*(leaves for leaves, _ in flat), keeps, strict=True)
      found = [stacked(column, len(group), keep=keep, share=not stack) for *column, keep in columns]
    parted = [split for _, split in found]
    if first.build is None:
      placed = [Stack(jnp.asarray(leaf)) if split else leaf for leaf, split in found]
      return lambda index: _placed(structure, placed, places[index])
    key = (first.key, len(lanes), tuple(parted))
    if key not in self._programs:
      self._programs[key] = self._compile(first, structure, parted, donated, alone)
    result = self._programs[key](*(leaf for leaf, _ in found))
    if not any(parted):
      return lambda index: result
    stacks = jax.tree.map(Stack, result)
    return lambda index: jax.tree.map(lambda stack: Lane(stack, places[index]), stacks)

  def _size(self, asking: int) -> int:
    """Lanes for so many: all, or where half of them and fewer ask, half as many, and so on."""
    size = self.size
    while size % 2 == 0 and (size // 2) % self.together == 0 and size // 2 >= asking:
      size //= 2
    return size

  def _compile(
    self, request: _Request, structure: Any, parted: list, donated: list, alone: bool
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
    many = named(over_members(one, parted, self.together), request.name)
    donate = [at for at, given in enumerate(donated) if given and parted[at]]
    return jax.jit(many, donate_argnums=tuple(donate))

  def stop(self) -> None:
    """Ends the meeting: who waits or asks gets a StoppedError."""
    with self._changed:
      self._over = True
      for request in self._waiting.values():
        request.error = StoppedError()
        request.done.set()
      self._waiting.clear()
      self._changed.notify_all()


def _donated(request: _Request) -> list[bool]:
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


@dataclasses.dataclass(frozen=True)
class Member(Programs):
  """The devices of a member: those of the whole population, whose programs are of all."""

  meeting: Meeting
  index: int
  axis_name: None = None

  @property
  def _base(self) -> Devices | MeshDevices:
    return self.meeting.base

  @property
  def count(self) -> int:
    """Devices that the prompts of each member are split over."""
    return self._base.count

  def program(
    self, build: Build, config: Any, *, name: str, donate: tuple[int, ...] = ()
  ) -> Callable:
    values = self._values(name, config)

    def built(config: Any) -> Callable:
      return self._base.placed(_beside(build(config)))

    def call(*args: Any) -> Any:
      # What adapters are added to goes in beside the state, and does not come out: it stays one.
      frozen = args[0].frozen if isinstance(args[0], TrainState) else None
      if frozen is not None:
        args = (args[0].replace(frozen=None), *args[1:])
      result = self._ask(name, built, config, values, (args, frozen), donate)
      return result if frozen is None else (result[0].replace(frozen=frozen), *result[1:])

    return call

  def alone(self, build: Build, config: Any, *, name: str) -> Callable:
    values = self._values(name, config)

    def built(config: Any) -> Callable:
      return lambda args, kwargs: build(config)(*args, **kwargs)

    return lambda *args, **kwargs: self._ask(name, built, config, values, (args, kwargs), ())

  def network(self, network: Network) -> Network:
    """The network, which decodes with the weights that all members share where they stand."""
    shared = self.meeting.together > 1
    return dataclasses.replace(self._base.network(network), shared=shared)

  def init(self, init: Callable, params: Any) -> Any:
    with self.meeting.turn:  # programs of a mesh have to be started in one order on all devices
      return self._base.init(init, params)

  def like(self, tree: Any) -> Any:
    return self._base.like(tree)

  def split(self, tree: Any) -> Any:
    return self._base.split(tree)

  def replicate(self, tree: Any) -> Any:
    """Lanes of what differs among members, and of what will: a state, but for what it freezes.

    What they share stays one array.
    """
    if not isinstance(tree, TrainState):
      return self._ask(_PLACE, None, None, {}, ((self._put(tree),), None), ())
    changing = self._put(tree.replace(frozen=None))  # type: ignore[attr-defined]
    placed = self._ask(_STACK, None, None, {}, ((changing,), None), ())
    frozen = self.meeting.once(tree.frozen, self._frozen)
    return placed.replace(frozen=self._ask(_PLACE, None, None, {}, ((frozen,), None), ()))

  def first(self, tree: Any) -> Any:
    return to_host(tree)

  def join(self, tree: Any) -> Any:
    return to_host(tree)

  def _values(self, name: str, config: Any) -> dict[str, Any]:
    """What this member has where members vary, of a program that a stage's config describes."""
    paths = self.meeting.vary.get(name.partition("/")[0], ()) if isinstance(config, Stage) else ()
    return {path: np.float32(value_at(config, path)) for path in paths}

  def _put(self, tree: Any) -> Any:
    """On a mesh, where its rules have it; one device needs no more than its arrays."""
    return self._base.replicate(tree) if isinstance(self._base, MeshDevices) else tree

  def _frozen(self, tree: Any) -> Any:
    """What adapters of many members are added to, on the device that they are on."""
    if isinstance(self._base, MeshDevices):
      return self._put(tree)
    return jax.device_put(tree, self.meeting.device)

  def _ask(
    self, name: str, build: Build | None, config: Any, values: dict, args: tuple, donate: tuple
  ) -> Any:
    leaves, structure = jax.tree.flatten(args)
    kinds = tuple((np.shape(leaf), str(jnp.result_type(leaf))) for leaf in leaves)
    request = _Request((name, structure, kinds), name, build, config, values, args, donate)
    return self.meeting.ask(self.index, request)


def _beside(function: Callable) -> Callable:
  """A function of a state -> that of (arguments, what is frozen beside the state)."""

  def call(args: tuple, frozen: Any) -> Any:
    if frozen is None:
      return function(*args)
    result = function(args[0].replace(frozen=frozen), *args[1:])
    return (result[0].replace(frozen=None), *result[1:])

  return call
