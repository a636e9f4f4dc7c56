"""Documents of texts and chats: token by token what is learned, and what the model would see."""

import numpy as np
import pytest

from grpo_jax.config import ChatSFT, ConfigError, Pretrain, Texts
from grpo_jax.run.documents import chat_document, row_documents, text_document
from grpo_jax.weights.tokenizer import CharacterTokenizer

_CHARACTERS = CharacterTokenizer()
_STOP = _CHARACTERS.stop_ids[0]
_TEXTS = Texts(train="a", held_out="b", column="messages")


def chat(*turns, system=""):
  """Turns of user and assistant, one after the other."""
  roles = ("user", "assistant") * len(turns)
  said = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=False)]
  return [{"role": "system", "content": system}, *said] if system else said


def learned(tokenizer, document) -> list[list[int]]:
  """The runs of tokens that are learned."""
  edges = np.flatnonzero(np.diff(document.learned, prepend=False, append=False)).reshape(-1, 2)
  return [document.tokens[start:stop].tolist() for start, stop in edges]


def test_a_text_ends_with_the_stop_token():
  document = text_document(_CHARACTERS, "ab")
  assert document.tokens.tolist() == [*_CHARACTERS.encode("ab"), _STOP]
  assert document.learned.all()


def test_a_text_begins_as_the_model_has_texts_begin():
  """Once, also where it is written out; of a text that is cut in its first piece alone."""
  tokenizer = CharacterTokenizer()
  tokenizer.first_ids = tuple(tokenizer.encode("^"))
  for text in ("ab", "^ab"):
    assert text_document(tokenizer, text).tokens.tolist() == [*tokenizer.encode("^ab"), _STOP]
  parts = row_documents(tokenizer, Pretrain(length=2), "a:1", "abc")
  assert [tokenizer.decode(part.tokens) for part in parts] == ["^a", "ab", "bc", "c"]


def test_of_a_chat_the_answer_and_its_stop_token_are_learned():
  document = chat_document(_CHARACTERS, chat("1+2=", "3", system="Add."))
  assert document.tokens.tolist() == [*_CHARACTERS.encode("Add.1+2=3"), _STOP]
  assert learned(_CHARACTERS, document) == [[*_CHARACTERS.encode("3"), _STOP]]


class _Turns(CharacterTokenizer):
  """A template that ends turns; `\n` asks for an answer, as in ChatML."""

  def encode_chat(self, messages):
    turns = [[*self.encode("\n" + m["content"]), self.stop_ids[0]] for m in messages]
    return [token for turn in turns for token in turn] + self.encode("\n")


def test_every_answer_of_a_chat_is_learned():
  tokenizer = _Turns()
  document = chat_document(tokenizer, chat("a", "bc", "d", "e"))
  assert learned(tokenizer, document) == [
    [*tokenizer.encode("bc"), _STOP],
    [*tokenizer.encode("e"), _STOP],
  ]
  assert document.tokens.tolist() == tokenizer.encode_chat(chat("a", "bc", "d", "e"))[:-1]


class _Trims(_Turns):
  def encode_chat(self, messages):
    return super().encode_chat([{**m, "content": m["content"].strip()} for m in messages])


class _Forgets(_Turns):
  """Shows only the last answer, as templates do that drop earlier thoughts."""

  def encode_chat(self, messages):
    last = max((n for n, m in enumerate(messages) if m["role"] == "assistant"), default=0)
    return super().encode_chat(
      [m for m in messages[:last] if m["role"] == "user"] + messages[last:]
    )


@pytest.mark.parametrize(
  ("tokenizer", "messages", "said"),
  [
    (_Trims(), chat("a", " b"), "message 2: .*changes ' b' or what stands before it"),
    (_Forgets(), chat("a", "b", "c", "d"), "message 2: .*changes 'b' or what"),
    (_CHARACTERS, chat("a", "b", "c", "d"), "message 2: no stop token follows"),
    (_CHARACTERS, chat("a", "é"), "no token for 'é'"),
  ],
)
def test_a_chat_that_the_model_would_not_see_so_is_refused_with_its_row(tokenizer, messages, said):
  """Pitfall 20: the tokens that are learned are those that would be sampled."""
  stage = ChatSFT(texts=_TEXTS)
  with pytest.raises(ConfigError, match="^file:3: .*" + said) as error:
    row_documents(tokenizer, stage, "file:3", messages)
  assert "\n" not in str(error.value)


def test_a_long_text_is_cut_and_a_long_chat_is_refused():
  parts = row_documents(_CHARACTERS, Pretrain(length=4), "file:1", "abcdef")
  assert ["".join(_CHARACTERS.decode(part.tokens)) for part in parts] == ["abcd", "def"]
  stage = ChatSFT(length=4, texts=_TEXTS)
  assert row_documents(_CHARACTERS, stage, "file:1", chat("a", "bc"))
  with pytest.raises(ConfigError, match=r"^file:2: a chat of 5 tokens, longer than length=4"):
    row_documents(_CHARACTERS, stage, "file:2", chat("a", "bcd"))


def test_a_text_without_tokens_is_refused():
  with pytest.raises(ConfigError, match=r"^file:1: a text without tokens"):
    row_documents(_CHARACTERS, Pretrain(), "file:1", "")


def test_smollm2s_template_keeps_what_the_model_is_asked(smollm2):
  """Pitfall 21: asked, answered and asked again, by the template that sampling uses."""
  tokenizer = smollm2.tokenizer
  messages = chat("What is 2 + 2?", "It is 4.\n\nRight?", "Yes.", "Good: 100 %", system="Be brief.")
  document = chat_document(tokenizer, messages)
  answers = [[*tokenizer.encode(text), 2] for text in ("It is 4.\n\nRight?", "Good: 100 %")]
  assert learned(tokenizer, document) == answers
  for turn in (2, 4):
    asked = tokenizer.encode_chat(messages[:turn])
    assert document.tokens[: len(asked)].tolist() == asked
  assert document.tokens[-1] == 2
  with pytest.raises(ConfigError, match=r"message 2: .*changes '\\n\\nno' or what"):
    chat_document(tokenizer, chat("Yes?", "\n\nno"))
