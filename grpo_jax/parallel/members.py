"""Members of a population: whole runs of their own, whose compiled calls are made together.

Each member is a thread that runs as any run does, but for its devices: what it would compile and
call, it asks of the meeting. So a member does what it would do alone, whatever its rewards, stages,
stop rules and checkpoints are.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from grpo_jax.config import Stage
from grpo_jax.config.values import value_at
from grpo_jax.model import Network
from grpo_jax.parallel.devices import Devices
from grpo_jax.parallel.joined import PLACE, STACK, Request
from grpo_jax.parallel.lanes import to_host
from grpo_jax.parallel.meeting import Meeting
from grpo_jax.parallel.mesh import MeshDevices
from grpo_jax.parallel.programs import Build, Programs
from grpo_jax.types import TrainState


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
      return self._ask(PLACE, None, None, {}, ((self._put(tree),), None), ())
    changing = self._put(tree.replace(frozen=None))  # type: ignore[attr-defined]
    placed = self._ask(STACK, None, None, {}, ((changing,), None), ())
    frozen = self.meeting.once(tree.frozen, self._frozen)
    return placed.replace(frozen=self._ask(PLACE, None, None, {}, ((frozen,), None), ()))

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
    request = Request((name, structure, kinds), name, build, config, values, args, donate)
    return self.meeting.ask(self.index, request)


def _beside(function: Callable) -> Callable:
  """A function of a state -> that of (arguments, what is frozen beside the state)."""

  def call(args: tuple, frozen: Any) -> Any:
    if frozen is None:
      return function(*args)
    result = function(args[0].replace(frozen=frozen), *args[1:])
    return (result[0].replace(frozen=None), *result[1:])

  return call
