"""What is told of a population: what the first member says but for its end, and each one's row."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from grpo_jax.run.view import Figures, Plain, View, unheard


class Voice:
  """Passes on what the first of the members that go on says.

  Args:
    view: of the population.
    size: members.
  """

  def __init__(self, view: View, size: int):
    self._view, self._left = view, set(range(size))

  def member(self, number: int, put: Callable[[str], None]) -> "MemberView":
    """The view of a member; `put` takes all its lines."""
    return MemberView(number, put, self._view, lambda: number == min(self._left, default=number))

  def over(self, number: int, reason: str) -> None:
    """A member has ended; the reason is empty where there is nothing to say."""
    self._left.discard(number)
    if reason:
      self._view.warning(f"member {number} has failed: {reason}")


class MemberView:
  """A `View` of a member: lines into its log, and where it is the first, to a person too.

  Args:
    number: the member's.
    put: writes its log; may raise, and end the member.
    view: of the population.
    first: whether it is the first of those that go on.
  """

  def __init__(
    self, number: int, put: Callable[[str], None], view: View, first: Callable[[], bool]
  ):
    self._number, self._log, self._view, self._first = number, Plain(put), view, first
    self._is_heard = False
    self._place: tuple[str, int, int] | None = None  # stage, step, steps, once one has begun

  def say(self, line: str) -> None:
    self._log.say(line)
    self._heard().say(line)

  def warning(self, line: str) -> None:
    self._log.warning(line)
    self._heard().warning(line)

  def begin(self, stage: str, step: int, steps: int, lines: Iterable[Mapping[str, Any]]) -> None:
    self._view.member(self._number, stage, step, steps, {})
    self._place = None
    self._heard().begin(stage, step, steps, lines)
    self._place = stage, step, steps

  def step(self, stage: str, step: int, steps: int, figures: Figures, spent: float) -> None:
    self._log.step(stage, step, steps, figures, spent)
    self._view.member(self._number, stage, step, steps, figures)
    self._heard().step(stage, step, steps, figures, spent)
    self._place = stage, step, steps

  def evaluated(self, stage: str, step: int, steps: int, figures: Figures) -> None:
    self._log.evaluated(stage, step, steps, figures)
    self._view.member(self._number, stage, step, steps, figures)
    self._heard().evaluated(stage, step, steps, figures)

  def sample(self, step: int, record: Mapping[str, Any], *, rare: bool) -> None:
    self._log.sample(step, record, rare=rare)
    self._heard().sample(step, record, rare=rare)

  def member(self, number: int, stage: str, step: int, steps: int, figures: Figures) -> None:
    self._view.member(number, stage, step, steps, figures)

  def closing(self, text: str) -> None:
    """The last lines of a member are in its log: those of the population are its table."""
    self._log.closing(text)

  def close(self) -> None:
    pass

  def _heard(self) -> View:
    if not self._first():
      return unheard()
    if self._place and not self._is_heard:  # what was heard so far is another's course
      self._view.begin(*self._place, ())
    self._is_heard = True
    return self._view
