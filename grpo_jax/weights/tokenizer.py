"""Tokenizers: those that come with weights, and one of single characters for small models."""

import hashlib
import json
import string
from collections.abc import Sequence
from typing import Any, Protocol

from grpo_jax.config import ConfigError
from grpo_jax.weights.chat import Messages, Renderer
from grpo_jax.weights.errors import WeightsError, extra, refusing
from grpo_jax.weights.growth import check_growth

# The names under which tokenizer_config.json and chat templates know special tokens.
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_STOP = "<stop>"


class Tokenizer(Protocol):
  """Text to token ids and back.

  stop_ids: the tokens that end an answer, the usual one first.
  first_ids: what a text of its own begins with, as the model has learned it; at most one token.
  """

  vocab_size: int
  stop_ids: tuple[int, ...]
  first_ids: tuple[int, ...]

  def encode(self, text: str) -> list[int]:
    """Ids of the text; special tokens written in it are recognised, none is added."""

  def decode(self, ids: Sequence[int]) -> str:
    """Text of the ids, without special tokens."""

  def encode_chat(self, messages: Messages) -> list[int]:
    """Ids of a conversation by the chat template, up to where the model's turn begins."""

  def files(self) -> dict[str, str]:
    """Name -> text of the files that make this tokenizer again from a Hugging Face folder."""


class CharacterTokenizer:
  """One token a printable ASCII character or newline, and one that stops. A chat is its text."""

  stop_ids: tuple[int, ...]
  first_ids: tuple[int, ...] = ()

  def __init__(self) -> None:
    self._characters = "\n " + string.digits + string.ascii_letters + string.punctuation
    self._ids = {character: index for index, character in enumerate(self._characters)}
    self.vocab_size = len(self._characters) + 1
    self.stop_ids = (len(self._characters),)

  def encode(self, text: str) -> list[int]:
    """Raises ConfigError at a character that has no token."""
    unknown = [character for character in text if character not in self._ids]
    if unknown:
      raise ConfigError(f"the character tokenizer has no token for {unknown[0]!r} in {text[:60]!r}")
    return [self._ids[character] for character in text]

  def decode(self, ids: Sequence[int]) -> str:
    return "".join(self._characters[index] for index in ids if index < len(self._characters))

  def encode_chat(self, messages: Messages) -> list[int]:
    return self.encode("".join(message["content"] for message in messages))

  def files(self) -> dict[str, str]:
    stop = self.stop_ids[0]
    source = {
      "version": "1.0",
      "added_tokens": [added_token(stop, _STOP, special=True)],
      "pre_tokenizer": {
        "type": "Split",
        "pattern": {"Regex": r"[\s\S]"},
        "behavior": "Isolated",
        "invert": False,
      },
      "decoder": {"type": "Fuse"},
      "model": {"type": "WordLevel", "vocab": {**self._ids, _STOP: stop}, "unk_token": ""},
    }
    return _files(json.dumps(source), None, {"eos_token": _STOP})


class HuggingFaceTokenizer:
  """A tokenizer.json with its chat template.

  Args:
    source: the text of tokenizer.json.
    template: the chat template; None takes messages as plain text, after the token that the
      tokenizer puts first (of a base model that wants one).
    stop_tokens: tokens that end an answer, the usual one first.
    special: what the template's bos_token, eos_token, unk_token and pad_token are.
  """

  def __init__(
    self, source: str, template: str | None, stop_tokens: Sequence[str], special: dict[str, str]
  ):
    with extra("tokenizers"):
      import tokenizers
    with refusing("tokenizer.json cannot be read"):
      check_growth(source)
      self._tokenizer = tokenizers.Tokenizer.from_str(source)
    self._tokenizer.no_padding()
    self._tokenizer.no_truncation()
    self._files = _files(source, template, special)
    self._render = None if template is None else Renderer(template, special)
    with refusing("tokenizer.json cannot be used"):
      first = self._tokenizer.encode("", add_special_tokens=True).ids[:1]
      bos = self._tokenizer.token_to_id(special.get("bos_token", ""))
    self.first_ids = tuple(first) if first == [bos] else ()
    # By the largest: where ids are left out, there are fewer tokens than rows.
    self.vocab_size = max(self._tokenizer.get_vocab().values(), default=-1) + 1
    ids = [self._tokenizer.token_to_id(token) for token in stop_tokens]
    self.stop_ids = tuple(dict.fromkeys(index for index in ids if index is not None))
    if not self.stop_ids:
      raise WeightsError(f"the tokenizer has none of the stop tokens {list(stop_tokens)}")

  def encode(self, text: str) -> list[int]:
    with refusing(f"the tokenizer cannot encode {text[:60]!r}"):
      return self._tokenizer.encode(text, add_special_tokens=False).ids

  def decode(self, ids: Sequence[int]) -> str:
    with refusing("the tokenizer cannot decode an answer"):
      return self._tokenizer.decode([int(index) for index in ids], skip_special_tokens=True)

  def encode_chat(self, messages: Messages) -> list[int]:
    if self._render is None:
      return [*self.first_ids, *self.encode("".join(each["content"] for each in messages))]
    # The template writes the beginning-of-text token itself: encode adds none.
    return self.encode(self._render(messages))

  def files(self) -> dict[str, str]:
    return dict(self._files)


def fingerprint(tokenizer: Tokenizer) -> str:
  """SHA-256 of all that makes the tokenizer and its chat template, in hexadecimal."""
  digest = hashlib.sha256()
  for name, text in sorted(tokenizer.files().items()):
    digest.update(f"{name}\0{text}\0".encode())
  return digest.hexdigest()


def added_token(
  index: int, content: str, *, special: bool, normalized: bool = False
) -> dict[str, Any]:
  """An entry of `added_tokens` in tokenizer.json: text that is cut out before all else.

  normalized: it is looked for after the normalizer, not before.
  """
  flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": normalized}
  return {"id": index, "content": content, "special": special, **flags}


def _files(source: str, template: str | None, special: dict[str, str]) -> dict[str, str]:
  config = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
  files = {"tokenizer.json": source, "tokenizer_config.json": json.dumps(config | special)}
  return files if template is None else files | {"chat_template.jinja": template}
