"""What a person is shown of a run: what there is to tell, and the plain lines that tell it."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from grpo_jax.run import console

Figures = Mapping[str, float]
# Steps between the prompts that are shown with their best and worst answer.
_SHOW_EVERY = 10


class View(Protocol):
  """Takes what there is to tell of a run, from any thread."""

  def say(self, line: str) -> None:
    """A line that may be of use."""

  def warning(self, line: str) -> None:
    """A line that should be read."""

  def begin(self, stage: str, step: int, steps: int, lines: Iterable[Mapping[str, Any]]) -> None:
    """A stage goes on after `step` of its steps; `lines` of metrics.jsonl are those before."""

  def step(self, stage: str, step: int, steps: int, figures: Figures, spent: float) -> None:
    """A step is done; `spent` seconds was each of the stage so far."""

  def evaluated(self, stage: str, step: int, steps: int, figures: Figures) -> None:
    """Held-out figures of the state after a step."""

  def sample(self, step: int, record: Mapping[str, Any], *, rare: bool) -> None:
    """A prompt of a step as samples.jsonl has it; rare: of one step in many."""

  def member(self, number: int, stage: str, step: int, steps: int, figures: Figures) -> None:
    """What is new of a member of a population."""

  def closing(self, text: str) -> None:
    """The last lines of a run that ended well."""

  def close(self) -> None:
    """Leaves the terminal as it was; what is said later is said in lines."""


class Plain:
  """Lines, as good in a file as in a terminal.

  Args:
    put: takes each, or several in one text.
    quiet: whether only warnings and the last lines are told.
  """

  def __init__(self, put: Callable[[str], None], *, quiet: bool = False):
    self._put, self._quiet = put, quiet

  def say(self, line: str) -> None:
    if not self._quiet:
      self._put(line)

  def warning(self, line: str) -> None:
    self._put(line)

  def begin(self, stage: str, step: int, steps: int, lines: Iterable[Mapping[str, Any]]) -> None:
    pass

  def step(self, stage: str, step: int, steps: int, figures: Figures, spent: float) -> None:
    self.say(console.step_line(stage, step, steps, figures, spent * (steps - step)))

  def evaluated(self, stage: str, step: int, steps: int, figures: Figures) -> None:
    self.say(console.evaluation_line(stage, step, figures))

  def sample(self, step: int, record: Mapping[str, Any], *, rare: bool) -> None:
    if rare or step % _SHOW_EVERY == 1:
      names = ("prompt", "completions", "rewards", "advantages")
      self.say(console.sample_block(*(record[name] for name in names)))

  def member(self, number: int, stage: str, step: int, steps: int, figures: Figures) -> None:
    pass

  def closing(self, text: str) -> None:
    self._put(text)

  def close(self) -> None:
    pass


def unheard() -> Plain:
  """For all processes but the first, and all members but one."""
  return Plain(lambda _: None)
