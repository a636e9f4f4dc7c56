"""From texts and chats to documents of tokens."""

from typing import Any

import numpy as np

from grpo_jax.config import ChatSFT, ConfigError, Pretrain
from grpo_jax.packing import Document, pieces
from grpo_jax.weights.chat import Messages
from grpo_jax.weights.tokenizer import Tokenizer


def text_document(tokenizer: Tokenizer, text: str) -> Document:
  """The text, between what the model has texts begin with and a stop token.

  Raises:
    ConfigError: the text has no tokens, or one that the tokenizer does not know.
  """
  told = tokenizer.encode(text)
  if not told:
    raise ConfigError(f"a text without tokens: {text[:60]!r}")
  first = tokenizer.first_ids if told[0] not in tokenizer.first_ids else ()
  tokens = np.array([*first, *told, tokenizer.stop_ids[0]], np.int32)
  return Document(tokens, np.ones(len(tokens), bool))


def chat_document(tokenizer: Tokenizer, messages: Messages) -> Document:
  """The chat up to its last answer; of it the assistant's words and stop tokens are learned.

  Each answer must stand where the model would begin it: the ids of the messages before it, as they
  are when the model is asked, then its own, then a stop token.

  Raises:
    ConfigError: the chat template or the tokenizer joins an answer to what stands about it.
  """
  whole = tokenizer.encode_chat(messages)
  learned = np.zeros(len(whole) + 1, bool)
  stop = 0
  for turn, message in enumerate(messages):
    if message["role"] != "assistant":
      continue
    asked, answer = tokenizer.encode_chat(messages[:turn]), tokenizer.encode(message["content"])
    start, stop = len(asked), len(asked) + len(answer)
    if whole[:stop] != asked + answer:
      raise ConfigError(
        f"message {turn + 1}: the chat does not have the tokens that the model is asked with,"
        " followed by its answer's own: the chat template or the tokenizer changes"
        f" {message['content'][:60]!r} or what stands before it"
      )
    if stop == len(whole):  # a chat that is its text alone: no template ends the turn
      whole = [*whole, tokenizer.stop_ids[0]]
    if whole[stop] not in tokenizer.stop_ids:
      raise ConfigError(
        f"message {turn + 1}: no stop token follows this answer in the chat template: only a chat"
        " whose one answer comes last can be learned"
      )
    learned[start : stop + 1] = True
  return Document(np.array(whole[: stop + 1], np.int32), learned[: stop + 1])


def row_documents(tokenizer: Tokenizer, stage: Pretrain, where: str, value: Any) -> list[Document]:
  """The documents of a row of a file, a text or a chat: none is longer than a row of the batch.

  Raises:
    ConfigError: begins with `where`, the row's place: a chat is too long, or cannot be learned.
  """
  try:
    if not isinstance(stage, ChatSFT):
      return pieces(text_document(tokenizer, value), stage.length)
    document = chat_document(tokenizer, value)
  except ConfigError as error:
    raise ConfigError(f"{where}: {error}") from error
  if len(document.tokens) > stage.length:
    raise ConfigError(
      f"{where}: a chat of {len(document.tokens)} tokens, longer than length={stage.length}: raise"
      " it, or leave the chat out"
    )
  return [document]
