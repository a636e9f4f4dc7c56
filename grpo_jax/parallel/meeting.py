"""Where the calls of members meet.

Once every member waits here, those that ask for the same program get it in one call. Nobody waits
for one that has ended or failed, and once half are gone no more than half are computed.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import jax

from grpo_jax.parallel.devices import Devices
from grpo_jax.parallel.joined import Joined, Request
from grpo_jax.parallel.mesh import MeshDevices


class StoppedError(Exception):
  """The meeting has ended, and members with it."""


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
    self.vary, self.together = vary, together
    self.base = base or Devices(1, None)
    if device is None and not isinstance(self.base, MeshDevices):
      device = jax.local_devices()[0]
    self.device = device
    self.turn = threading.Lock()
    self._shared: dict[int, tuple[Any, Any]] = {}
    self._changed = threading.Condition()
    self._live = set(range(size))
    self._waiting: dict[int, Request] = {}
    self._joined = Joined(size, together, device)
    self._over = False

  def once(self, tree: Any, place: Callable[[Any], Any]) -> Any:
    """place(tree), where a leaf that another member has too is the same one for both."""
    with self._changed:
      return jax.tree.map(
        lambda leaf, put: self._shared.setdefault(id(leaf), (leaf, put))[1], tree, place(tree)
      )

  def ask(self, index: int, request: Request) -> Any:
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

  def _next(self) -> dict[int, Request]:
    """Takes the largest number of equal requests; of equal numbers that of the lowest member."""
    groups: dict[Any, dict[int, Request]] = {}
    for index in sorted(self._waiting):
      groups.setdefault(self._waiting[index].key, {})[index] = self._waiting[index]
    group = max(groups.values(), key=len)
    for index in group:
      del self._waiting[index]
    return group

  def _answer(self, group: dict[int, Request]) -> None:
    try:
      results = self._joined.call(group, len(self._live))
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

  def stop(self) -> None:
    """Ends the meeting: who waits or asks gets a StoppedError."""
    with self._changed:
      self._over = True
      for request in self._waiting.values():
        request.error = StoppedError()
        request.done.set()
      self._waiting.clear()
      self._changed.notify_all()
