"""An answer piece by piece: whole characters, its end, its length, its speed."""

import jax
import numpy as np
import pytest

from grpo_jax import weights
from grpo_jax.rollout import make_rollout
from grpo_jax.run.policy import load_policy
from grpo_jax.run.speaking import ASKED, CONTEXT, LENGTH, STOP, FullError, Pieces, Speaker
from grpo_jax.types import Prompts
from tests.run import small


class _Bytes:
  """A token is a byte."""

  def decode(self, ids):
    return bytes(ids).decode("utf-8", "replace")


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_half_a_character_is_held_until_it_is_whole(size):
  text = "naïve 🙂 日本 e\u0301"
  ids, pieces = list(text.encode()), Pieces(_Bytes())
  told = [pieces.add(ids[at : at + size]) for at in range(0, len(ids), size)]
  assert "".join(told) == text == pieces.text
  assert not any("\ufffd" in piece for piece in told)
  assert pieces.rest() == ""


def test_what_never_becomes_whole_is_told_at_the_end():
  pieces = Pieces(_Bytes())
  assert pieces.add(list(b"ab\xf0\x9f")) == "ab"
  assert pieces.rest() == "\ufffd"
  middle = Pieces(_Bytes())
  assert middle.add(list(b"a\xff")) == "a"
  assert middle.add(list(b"b")) == "\ufffdb"


def test_pieces_of_a_real_tokenizer(smollm2_path):
  _, tokenizer = weights.outline(smollm2_path)
  text = " 🙂 naïve — 日本語"
  ids, pieces = tokenizer.encode(text), Pieces(tokenizer)
  told = [pieces.add([token]) for token in ids]
  assert "".join(told) == text
  assert not any("\ufffd" in piece for piece in told)


@pytest.fixture(scope="module")
def policy():
  return load_policy(small.experiment())


def _spoken(speaker, text, **asked):
  told = []
  spoken = speaker.speak(
    speaker.tokenizer.encode(text), told.append, **{"temperature": 0.0, **asked}
  )
  assert "".join(told) == spoken.text
  return spoken


def test_a_greedy_answer_is_the_rollouts(policy):
  spoken = _spoken(Speaker(policy, max_tokens=9), "3+4=")
  ids = policy.tokenizer.encode("3+4=")
  prompts = Prompts(np.array([ids]), np.ones((1, len(ids)), bool))
  stops = policy.tokenizer.stop_ids
  rollout = make_rollout(
    policy.network, group_size=1, max_tokens=9, stop_ids=stops, temperature=0.0
  )
  whole = jax.jit(rollout)(policy.params, prompts, jax.random.split(jax.random.key(0), 1))
  written = whole.tokens[0, 0][whole.mask[0, 0]].tolist()
  assert spoken.text == policy.tokenizer.decode(written)
  assert spoken.tokens == len(written)
  assert spoken.end == (STOP if written[-1] in stops else LENGTH)
  assert spoken.prompt == 4
  assert spoken.speed > 0


def test_answers_of_one_seed_are_the_same_and_the_next_is_another(policy):
  own = [Speaker(policy, max_tokens=12, seed=seed) for seed in (0, 0, 1)]
  first = [_spoken(speaker, "3+4=", temperature=1.0).text for speaker in own]
  assert first[0] == first[1] != first[2]
  assert _spoken(own[0], "3+4=", temperature=1.0).text != first[0]


def test_filters_are_heard(policy):
  likeliest = _spoken(Speaker(policy, max_tokens=8), "3+4=").text
  assert _spoken(Speaker(policy, max_tokens=8, top_k=1), "3+4=", temperature=1.0).text == likeliest
  cold = _spoken(Speaker(policy, max_tokens=8, min_p=0.999), "3+4=", temperature=0.01)
  assert cold.text == likeliest


def test_it_ends_when_it_is_asked_to(policy):
  asked = iter([False, True])
  spoken = _spoken(Speaker(policy, max_tokens=30), "3+4=", asked=lambda: next(asked))
  if spoken.end != STOP:
    assert (spoken.end, spoken.tokens) == (ASKED, 8)


def test_the_context_is_never_exceeded(policy):
  speaker = Speaker(policy, max_tokens=30)
  spoken = _spoken(speaker, "1" * 45)
  assert spoken.tokens <= 3
  assert spoken.end in (CONTEXT, STOP)
  with pytest.raises(
    FullError, match="the context is full: 48 tokens, and the model has room for 48"
  ):
    _spoken(speaker, "1" * 48)


def test_programs_are_compiled_once_for_each_padded_length(policy):
  notes = []
  speaker = Speaker(policy, max_tokens=4, note=notes.append)
  for length in (1, 20, 32, 33, 40, 5):
    _spoken(speaker, "1" * length)
  assert [note.split()[6] for note in notes] == ["32", "48"]
