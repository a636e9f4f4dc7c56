"""A view that is drawn, once a second, by a thread of its own."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes
from grpo_jax.run import console
from grpo_jax.run.live.aside import Aside
from grpo_jax.run.live.board import Board
from grpo_jax.run.live.panels import compose
from grpo_jax.run.live.screen import Screen
from grpo_jax.run.view import Figures, Plain, View

# Seconds between two drawings.
_EVERY = 1.0
# Seconds that the end waits for a drawing: a terminal that is held (Ctrl-S) takes none.
_PATIENCE = 2.0
# What else is printed meanwhile, in the run folder.
LOG = "console.log"


def make_view(
  choice: str, put: Callable[[str], None], workdir: str, stages: Sequence[str], *, quiet: bool
) -> View:
  """The view that is asked for.

  Args:
    choice: plain, live, or auto: live where a terminal can show it.
    put: takes the lines of a plain view.
    workdir: the run folder.
    stages: names of all.
    quiet: whether only warnings and the last lines are told.

  Raises:
    ConfigError: a live view is asked for where there can be none.
  """
  if quiet and choice == "live":
    raise ConfigError("--quiet with --view=live: a live view is not quiet")
  if choice not in ("auto", "live", "plain"):
    raise ConfigError(f"--view={choice}: expected auto, live or plain")
  reason = _unfit() if choice != "plain" and not quiet else ""
  if reason and choice == "live":
    raise ConfigError(f"--view=live: {reason}")
  if choice == "plain" or quiet or reason:
    return Plain(put, quiet=quiet)
  return Live(put, workdir, stages)


def _unfit() -> str:
  """Why nothing can be drawn here; empty where it can."""
  if processes.count() > 1:
    return "a run of several processes is told in lines"
  if not (os.isatty(1) and sys.stdout.isatty()):
    return "standard output is no terminal"
  if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
    return f"TERM={os.environ.get('TERM', '')} cannot be drawn on"
  if "utf" not in (sys.stdout.encoding or "").lower():
    return f"the terminal's encoding is {sys.stdout.encoding}, not UTF-8"
  try:
    import rich.console  # noqa: F401
  except ImportError:
    return "it needs rich: pip install 'grpo_jax[report]'"
  return ""


class Live(Plain):
  """A `View` of a run, or of the first member of a population and a row for each.

  Lines before the first stage begins, and after the end, are lines as ever.
  """

  def __init__(self, put: Callable[[str], None], workdir: str, stages: Sequence[str]):
    super().__init__(put)
    self._log = os.path.join(os.path.abspath(workdir), LOG)
    self._board = Board(stages, time.monotonic())
    self._lock, self._starting, self._end = threading.Lock(), threading.Lock(), threading.Event()
    self._above: list[str] = []
    self._last_line = ""
    self._thread: threading.Thread | None = None
    self._broken = False  # then all is told in lines

  def say(self, line: str) -> None:
    with self._lock:
      if self._thread is not None:
        self._above.append(console.stripped(line))
        return
    super().say(line)

  def warning(self, line: str) -> None:
    with self._lock:
      self._board.warn(console.stripped(line))
    self.say(line)

  def begin(self, stage: str, step: int, steps: int, lines: Iterable[Mapping[str, Any]]) -> None:
    with self._lock:
      if self._last_line:
        self._above.append(self._last_line)  # of the stage before
      self._last_line = ""
      self._board.begin(stage, step, steps, lines, time.monotonic())
    with self._starting:
      self._start()

  def step(self, stage: str, step: int, steps: int, figures: Figures, spent: float) -> None:
    if self._broken:
      return super().step(stage, step, steps, figures, spent)
    with self._lock:
      self._board.step(stage, step, steps, figures, spent, time.monotonic())
      self._last_line = console.step_line(stage, step, steps, figures, spent * (steps - step))

  def evaluated(self, stage: str, step: int, steps: int, figures: Figures) -> None:
    with self._lock:
      self._board.see(figures)
    self.say(console.evaluation_line(stage, step, figures))

  def sample(self, step: int, record: Mapping[str, Any], *, rare: bool) -> None:
    if self._broken:
      return super().sample(step, record, rare=rare)
    with self._lock:
      self._board.sample(step, record)

  def member(self, number: int, stage: str, step: int, steps: int, figures: Figures) -> None:
    with self._lock:
      self._board.member(number, stage, step, steps, figures)

  def closing(self, text: str) -> None:
    self.close()
    super().closing(text)

  def close(self) -> None:
    thread = self._thread
    if thread is None:
      return
    self._end.set()
    try:
      thread.join(_PATIENCE)
    finally:  # a second Ctrl-C falls here
      with self._lock:
        self._above += self._aside.close()
        self._thread = None
    if thread.is_alive():  # it has the terminal still, and would hold up the run
      return
    self._draw()
    self._screen.leave()
    self._terminal.close()

  def _start(self) -> None:
    """Takes the terminal, the first time."""
    if self._thread is not None or self._broken or self._end.is_set():
      return
    try:
      self._aside = Aside(self._log)
    except OSError as error:
      self._broken = True
      return super().say(f"no live view: {self._log}: {error.strerror}")
    self._terminal = os.fdopen(self._aside.terminal(), "w", encoding="utf-8", errors="replace")
    self._screen = Screen(self._terminal)
    self._thread = threading.Thread(target=self._work, name="live view", daemon=True)
    self._thread.start()

  def _work(self) -> None:
    while not self._end.wait(_EVERY):
      with self._lock:
        self._above += self._aside.lines()
      self._draw()

  def _draw(self) -> None:
    with self._lock:
      above, self._above = self._above, []
      picture = self._board.picture()
    now = time.monotonic()

    def draw(rich: Any, columns: int, lines: int) -> Any:
      return compose(picture, rich, columns, lines, now)

    try:
      self._screen.draw(above, None if self._broken else draw)
    except Exception as error:  # a fault of the view, which must be none of the run
      self._broken = True
      self._screen.draw([*above, f"no more live view: {type(error).__name__}: {error}"], None)
