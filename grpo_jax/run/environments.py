"""A turn of many episodes at once, each answered by its environment, whatever that does."""

import logging
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from grpo_jax.isolated.files import is_file
from grpo_jax.isolated.number import InvalidScoreError
from grpo_jax.isolated.pool import Workers
from grpo_jax.isolated.turns import Played, as_turn, play
from grpo_jax.tasks import Episode, FileEpisode

_LOG = logging.getLogger(__name__)
_SHOWN: set[str] = set()


def answered(
  episodes: Sequence[Episode],
  texts: Sequence[str],
  workers: Workers | None,
  pause: Callable[[], None],
) -> list[Played]:
  """What each environment says to the turn that the model has written.

  Those of files are played in worker processes, from the beginning: a crash or a late answer costs
  one episode. Those of a notebook are played here. The first failure of each kind is logged.

  Args:
    episodes, texts: as many.
    workers: None plays those of files here.
    pause: called between turns; what it raises ends them.

  Returns:
    "played" with a Turn, or "error", "invalid", "timeout" or "crash" with a text.
  """
  found: list[Any] = [None] * len(texts)
  files: dict[tuple[str, str], list[int]] = {}
  for at, (episode, text) in enumerate(zip(episodes, texts, strict=True)):
    if isinstance(episode, FileEpisode):
      episode.said = (*episode.said, text)
      files.setdefault((episode.path, episode.name), []).append(at)
    else:
      pause()
      found[at] = _step(episode, text)
  for (path, name), rows in files.items():
    played = _in_workers(path, name, [episodes[at] for at in rows], workers, pause)
    for at, one in zip(rows, played, strict=True):
      found[at] = one
  for (kind, said), text in zip(found, texts, strict=True):
    log_once(kind, text, said)
  return found


def _step(episode: Episode, text: str) -> Played:
  try:
    return "played", as_turn(episode.step(text))
  except InvalidScoreError as error:
    return "invalid", str(error)
  except Exception:
    return "error", traceback.format_exc()


def _in_workers(
  path: str,
  name: str,
  episodes: Sequence[Any],
  workers: Workers | None,
  pause: Callable[[], None],
) -> list[Played]:
  asked = [(episode.fields, episode.said) for episode in episodes]
  if workers is not None and is_file(path):
    return workers.map(path, name, asked, pause, function=play)
  found = []
  for own in asked:
    pause()
    found.append(play(path, name, *own))
  return found


def log_once(kind: str, text: str, said: Any) -> None:
  """Logs the first failure of each kind: the turn that it followed, and what went wrong."""
  if kind != "played" and kind not in _SHOWN:
    _SHOWN.add(kind)
    _LOG.error(
      "an environment failed (%s), first on the turn %r; such episodes have no score\n%s",
      *(kind, text[:60], str(said).rstrip()),
    )
