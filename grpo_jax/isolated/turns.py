"""What an environment says to a turn, and the child's side of playing one of a file."""

import dataclasses
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from grpo_jax.isolated.files import load
from grpo_jax.isolated.number import InvalidScoreError, as_score


@dataclasses.dataclass(frozen=True)
class Turn:
  """observation: what the model reads next. reward: of this turn. done: whether it was the last."""

  observation: str
  reward: float
  done: bool


# What became of a turn, and it, or the text of what went wrong.
Played = tuple[str, Turn | str]


def play(path: str, name: str, fields: Mapping[str, Any], texts: Sequence[str]) -> Played:
  """An episode of class `name` of a file, from its beginning: its last turn.

  Nothing that it raises leaves this process: "played" with the turn, or "error" or "invalid" with a
  text.
  """
  try:
    episode = getattr(load(path), name)()
    episode.reset(dict(fields))
    for text in texts:
      said = episode.step(text)
    return "played", as_turn(said)
  except InvalidScoreError as error:
    return "invalid", str(error)
  except (Exception, SystemExit):  # sys.exit() would end the worker
    return "error", traceback.format_exc()


def as_turn(said: Any) -> Turn:
  """What step(text) returned, as a Turn.

  Raises:
    InvalidScoreError: it is neither a Turn nor (observation, reward, done).
  """
  parts = (said.observation, said.reward, said.done) if isinstance(said, Turn) else said
  if not isinstance(parts, (tuple, list)) or len(parts) != 3 or not isinstance(parts[0], str):
    raise InvalidScoreError(
      f"step returned a {type(said).__name__}: expected (observation, reward, done), the first a"
      " text"
    )
  try:
    parts[0].encode()
  except UnicodeEncodeError as error:
    raise InvalidScoreError("step returned an observation that is no UTF-8 text") from error
  return Turn(str(parts[0]), as_score(parts[1]), bool(parts[2]))
