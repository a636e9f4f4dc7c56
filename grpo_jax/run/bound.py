"""What a run is bound to beside its config: the files behind a name may become others."""

import json
import os

from grpo_jax.config import ConfigError
from grpo_jax.parallel import processes
from grpo_jax.weights.tokenizer import Tokenizer, fingerprint

_NAME = "bound.json"
_SHOWN = 12


def check_tokenizer(workdir: str, tokenizer: Tokenizer) -> None:
  """Compares with the tokenizer and chat template that the run began with, or notes them down.

  With others its prompts would be other tokens, and its answers other words.

  Raises:
    ConfigError: they are others.
  """
  now, path = fingerprint(tokenizer), os.path.join(workdir, _NAME)
  with processes.together():
    if processes.index():
      return
    before = _noted(path)
    if before is None:
      _note(path, now)
    elif before != now:
      raise ConfigError(
        f"--workdir={workdir} began with another tokenizer or chat template (SHA-256"
        f" {before[:_SHOWN]}..., now {now[:_SHOWN]}...): put the model's files back, or name"
        " another folder"
      )


def _noted(path: str) -> str | None:
  if not os.path.exists(path):
    return None
  try:
    with open(path, encoding="utf-8") as file:
      return str(json.load(file)["tokenizer"])
  except (OSError, ValueError, TypeError, KeyError) as error:
    raise ConfigError(
      f"{path} cannot be read ({type(error).__name__}): put it back from a copy, or remove it to go"
      " on with the tokenizer that there is"
    ) from error


def _note(path: str, value: str) -> None:
  temporary = f"{path}.tmp"
  with open(temporary, "w", encoding="utf-8") as file:
    json.dump({"tokenizer": value}, file)
  os.replace(temporary, path)
