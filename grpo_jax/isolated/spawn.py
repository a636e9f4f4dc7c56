"""Processes that are started anew, and do not run the program's main module again."""

import multiprocessing
import multiprocessing.context
import threading
from multiprocessing import popen_spawn_posix, spawn
from typing import Any

_TURN = threading.Lock()


class _Process(multiprocessing.context.SpawnProcess):
  """Without `init_main_...`: a script that has no `if __name__ == "__main__"` would begin again."""

  @staticmethod
  def _Popen(process_obj: Any) -> Any:  # noqa: N802, the name that multiprocessing calls
    with _TURN:
      whole = spawn.get_preparation_data

      def without_main(name: str) -> dict[str, Any]:
        return {key: of for key, of in whole(name).items() if not key.startswith("init_main")}

      spawn.get_preparation_data = without_main
      try:
        return popen_spawn_posix.Popen(process_obj)
      finally:
        spawn.get_preparation_data = whole


class Spawn(multiprocessing.context.SpawnContext):
  """The context of such processes. Not fork: jax has threads, which a fork would lose."""

  Process = _Process  # type: ignore[assignment]
