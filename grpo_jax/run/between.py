"""The tokens between two turns of the model: an observation, as the chat template has it."""

import functools
from collections.abc import Callable

from grpo_jax.config import GRPO, ConfigError, Experiment
from grpo_jax.config.turns import Turns
from grpo_jax.weights.tokenizer import Tokenizer

# A conversation to look at the template with.
_ASKED, _SAID, _HEARD = "a question", "an answer", "a reply"
# Characters of a token, at most: of a longer text no more can fit.
_MOST_CHARACTERS = 64
# observation -> its ids, and whether it was cut
Between = Callable[[str], tuple[list[int], bool]]


def make_between(tokenizer: Tokenizer, most: int | None = None) -> Between:
  """Builds observation -> the ids from behind a turn's stop token to the start of the next turn.

  They are those that a conversation has more with the observation as a user's message than without
  it. What the model wrote is not looked at: its own ids stay what they were.

  Args:
    tokenizer: renders the chat template and encodes.
    most: ids that an observation may take; a longer one loses its end. None cuts nothing.

  Raises:
    ConfigError: the chat template has no place for a user after an answer, changes what was before
      it, or takes more than `most` by itself.
  """
  plain = tokenizer.encode_chat([_user(_HEARD)]) == tokenizer.encode(_HEARD)
  whole = tokenizer.encode if plain else functools.partial(_by_template, tokenizer)
  _check(whole(_HEARD))
  if most is not None and len(whole("")) >= most:
    raise ConfigError(
      f"observation_tokens={most}: the chat template alone takes {len(whole(''))} between two turns"
    )

  @functools.lru_cache(maxsize=4096)
  def between(observation: str) -> tuple[list[int], bool]:
    kept = observation if most is None else observation[: most * _MOST_CHARACTERS]
    ids = whole(kept)
    while most is not None and len(ids) > most:
      kept = kept[: len(kept) - (len(ids) - most)] if len(kept) > len(ids) - most else kept[:-1]
      ids = whole(kept)
    return ids, len(kept) < len(observation)

  return between


def check_templates(experiment: Experiment, tokenizer: Tokenizer) -> None:
  """Refuses observations that the chat template has no place for, of every stage.

  Raises:
    ConfigError: as of `make_between`, with the field.
  """
  sizes: dict[str, Turns] = {
    f"config.stages.{name}.rollout": stage.rollout
    for name, stage in experiment.stages.items()
    if isinstance(stage, GRPO)
  }
  for path, own in ({"config.evaluation": experiment.evaluation} | sizes).items():
    if own.turns > 1:
      try:
        make_between(tokenizer, own.observation_tokens)
      except ConfigError as error:
        raise ConfigError(f"{path}.{error}") from error


def _by_template(tokenizer: Tokenizer, observation: str) -> list[int]:
  said = {"role": "assistant", "content": _SAID}
  before = tokenizer.encode_chat([_user(_ASKED)]) + tokenizer.encode(_SAID)
  ids = tokenizer.encode_chat([_user(_ASKED), said, _user(observation)])
  place = len(before)
  if ids[:place] != before or len(ids) == place:
    raise ConfigError(
      "turns: the chat template has no place for a reply: with a reply the conversation does not"
      " begin with the tokens that it had before it"
    )
  if ids[place] not in tokenizer.stop_ids:
    raise ConfigError(
      "turns: the chat template has no place for a reply: no stop token follows an answer that a"
      " user replies to"
    )
  return ids[place + 1 :]


def _check(ids: list[int]) -> None:
  if not ids:
    raise ConfigError(
      "turns: the chat template has no place for a reply: it leaves a user's reply out"
    )


def _user(content: str) -> dict[str, str]:
  return {"role": "user", "content": content}
