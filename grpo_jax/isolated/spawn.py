"""Processes that are started anew, and do not run the program's main module again."""

import multiprocessing
import multiprocessing.context
import threading
from multiprocessing import popen_spawn_posix, spawn
from typing import Any

_TURN = threading.Lock()


# Before anything is read that may be gone: one that is ended as it starts would tell a person so.
_SPEAK = "import os; os.dup2(os.open({!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2); "


class _Process(multiprocessing.context.SpawnProcess):
  """Without `init_main_...`: a script that has no `if __name__ == "__main__"` would begin again.

  log: a file for what it writes to standard error, from its first line on.
  """

  log: str

  @staticmethod
  def _Popen(process_obj: Any) -> Any:  # noqa: N802, the name that multiprocessing calls
    with _TURN:
      whole, line = spawn.get_preparation_data, spawn.get_command_line

      def without_main(name: str) -> dict[str, Any]:
        return {key: of for key, of in whole(name).items() if not key.startswith("init_main")}

      def told(**own: Any) -> list[str]:
        words = line(**own)
        at = words.index("-c") + 1
        return [*words[:at], _SPEAK.format(process_obj.log) + words[at], *words[at + 1 :]]

      spawn.get_preparation_data, spawn.get_command_line = without_main, told
      try:
        return popen_spawn_posix.Popen(process_obj)
      finally:
        spawn.get_preparation_data, spawn.get_command_line = whole, line


class Spawn(multiprocessing.context.SpawnContext):
  """The context of such processes. Not fork: jax has threads, which a fork would lose."""

  def __init__(self, log: str):
    super().__init__()
    self._log = log

  def Process(self, *args: Any, **kwargs: Any) -> _Process:  # type: ignore[override]  # noqa: N802
    """A process of the log's."""
    process = _Process(*args, **kwargs)
    process.log = self._log
    return process
