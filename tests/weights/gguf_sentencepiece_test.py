"""A tokenizer of SentencePiece's kind from a GGUF: against its rule, written out, and by hand."""

import itertools

import gguf
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies

from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.gguf_tokenizer import rebuild
from tests.weights.helpers import one_line

NORMAL, UNKNOWN, CONTROL, USER, BYTE = 1, 2, 3, 4, 6
_SPACE = "\u2581"
# Piece, type, score: the highest of two neighbours joins first.
PIECES = [
  *((token, CONTROL, 0.0) for token in ("<pad>", "<eos>", "<bos>")),
  ("<unk>", UNKNOWN, 0.0),
  ("<0xC3>", BYTE, 0.0),
  ("<0xA9>", BYTE, 0.0),
  ("\n\n", USER, -1000.0),
  (_SPACE * 2, USER, -1000.0),
  ("<end_of_turn>", CONTROL, 0.0),
  *(("bc", NORMAL, -1.0), ("ab", NORMAL, -2.0), (_SPACE + "a", NORMAL, -3.0)),
  *(("abc", NORMAL, -4.0), ("cab", NORMAL, -5.0), ("aa", NORMAL, -6.0), ("bcab", NORMAL, -7.0)),
  *((token, NORMAL, -100.0 - n) for n, token in enumerate(("a", "b", "c", _SPACE, "\n"))),
]
IDS = {token: index for index, (token, _, _) in enumerate(PIECES)}


def metadata(**changes) -> dict:
  tokens, types, scores = zip(*PIECES, strict=True)
  values = {
    "model": "llama",
    "tokens": list(tokens),
    "token_type": np.array(types),
    "scores": np.array(scores, np.float32),
    "eos_token_id": 1,
    "bos_token_id": 2,
    "unknown_token_id": 3,
    "padding_token_id": 0,
    "add_space_prefix": False,
  } | changes
  return {f"tokenizer.ggml.{name}": value for name, value in values.items()}


def by_rule(text: str) -> list[str]:
  """User-defined pieces first, the longest; elsewhere neighbours join, the best and leftmost."""
  scores = {token: score for token, kind, score in PIECES if kind == NORMAL}
  text, pieces, plain = text.replace(" ", _SPACE), [], []
  while text:
    cut = next((u for u in ("\n\n", _SPACE * 2) if text.startswith(u)), None)
    if cut is None:
      plain.append(text[0])
    if cut or len(text) == 1:
      while joined := [
        (scores[a + b], -n) for n, (a, b) in enumerate(itertools.pairwise(plain)) if a + b in scores
      ]:
        n = -max(joined)[1]
        plain[n : n + 2] = [plain[n] + plain[n + 1]]
      pieces += [*plain, *([cut] if cut else [])]
      plain = []
    text = text[len(cut or " ") :]
  return pieces


@hypothesis.given(strategies.text("abc \n", max_size=30))
@hypothesis.settings(max_examples=300, deadline=None)
def test_texts_are_cut_by_sentencepieces_rule(text):
  tokenizer = _tokenizer()
  ids = tokenizer.encode(text)
  assert ids == [IDS[piece] for piece in by_rule(text)]
  assert tokenizer.decode(ids) == text


def _tokenizer(made=[]):  # noqa: B006, one for all examples
  if not made:
    made.append(rebuild(metadata()))
  return made[0]


def test_by_hand():
  """bc joins before ab does, and é is two bytes."""
  pieces = [["a", "bc"], ["abc"]]
  assert by_rule("abc") == pieces[1]
  tokenizer = rebuild(metadata())
  assert tokenizer.encode("abc") == [IDS["abc"]]
  assert tokenizer.encode("é a") == [IDS["<0xC3>"], IDS["<0xA9>"], IDS[_SPACE + "a"]]
  assert tokenizer.decode(tokenizer.encode("é a")) == "é a"
  assert tokenizer.encode("zz") == [3]  # what no piece has, once
  assert tokenizer.encode("a<end_of_turn>a") == [IDS["a"], IDS["<end_of_turn>"], IDS["a"]]
  assert tokenizer.stop_ids == (1, IDS["<end_of_turn>"])


CHAT = [{"role": "user", "content": "ab"}]


@pytest.mark.parametrize(
  ("changes", "first"),
  [({}, [2]), ({"add_bos_token": True}, [2]), ({"add_bos_token": False}, [])],
)
def test_a_base_models_prompt_begins_with_the_token_that_it_wants_first(changes, first):
  """Pitfall 21: once, and not in a text that is a part of one."""
  tokenizer = rebuild(metadata(**changes))
  assert tokenizer.encode("ab") == [IDS["ab"]]
  assert tokenizer.encode_chat(CHAT) == [*first, IDS["ab"]]
  assert tokenizer.first_ids == tuple(first)


def test_a_template_writes_the_first_token_itself():
  template = {"tokenizer.chat_template": "{{ bos_token }}{{ messages[0].content }}"}
  assert rebuild(metadata() | template).encode_chat(CHAT) == [2, IDS["ab"]]


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"scores": np.zeros(3)}, "scores"),
    ({"scores": None}, "scores"),
    ({"add_space_prefix": True}, "add_space_prefix"),
    ({"tokens": [f"{n}" + "x" * 4000 for n in range(len(PIECES))]}, "too long"),
  ],
)
def test_what_cannot_be_rebuilt_is_refused(changes, said):
  values = {key: value for key, value in metadata(**changes).items() if value is not None}
  with pytest.raises(WeightsError) as info:
    rebuild(values)
  assert said in one_line(info)


def test_the_types_are_those_of_the_format():
  kinds = gguf.TokenType
  assert (*(kinds.NORMAL, kinds.UNKNOWN, kinds.CONTROL, kinds.USER_DEFINED, kinds.BYTE),) == (
    NORMAL,
    UNKNOWN,
    CONTROL,
    USER,
    BYTE,
  )
