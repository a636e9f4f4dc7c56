"""From examples to arrays and back, with one token a character."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo_jax.config import ConfigError
from grpo_jax.run.batches import answer_texts, prompt_batch, solution_batch
from grpo_jax.tasks import Example
from grpo_jax.weights.tokenizer import CharacterTokenizer

_TOKENIZER = CharacterTokenizer()
_TEXT = st.text("0123456789+ ab", min_size=1, max_size=20)


def _example(question, solution=""):
  return Example([{"role": "user", "content": question}], {"answer": ""}, solution)


@given(questions=st.lists(_TEXT, min_size=1, max_size=5))
def test_prompts_end_in_the_last_column(questions):
  batch = prompt_batch(_TOKENIZER, [_example(question) for question in questions], room=32)
  assert batch.tokens.shape == batch.mask.shape
  assert batch.tokens.shape[1] % 8 == 0
  assert batch.tokens.shape[1] - max(map(len, questions)) < 8
  for row, question in enumerate(questions):
    np.testing.assert_array_equal(
      batch.mask[row], np.arange(batch.mask.shape[1])[::-1] < len(question)
    )
    assert _TOKENIZER.decode(batch.tokens[row][batch.mask[row]].tolist()) == question


def test_the_width_keeps_to_the_room_and_to_the_least_width():
  examples = [_example("12345")]
  assert prompt_batch(_TOKENIZER, examples, room=100).tokens.shape == (1, 8)
  assert prompt_batch(_TOKENIZER, examples, room=6).tokens.shape == (1, 6)
  assert prompt_batch(_TOKENIZER, examples, room=5).tokens.shape == (1, 5)
  assert prompt_batch(_TOKENIZER, examples, room=100, width=24).tokens.shape == (1, 24)


def test_missing_rows_repeat_the_last_example():
  batch = prompt_batch(_TOKENIZER, [_example("1"), _example("23")], room=8, rows=4)
  assert batch.tokens.shape[0] == 4
  for row in (2, 3):
    np.testing.assert_array_equal(batch.tokens[row], batch.tokens[1])
    np.testing.assert_array_equal(batch.mask[row], batch.mask[1])


@pytest.mark.fault(19)
def test_a_prompt_longer_than_the_room_is_refused_not_cut():
  examples = [_example("1"), _example("1234567"), _example("12")]
  with pytest.raises(ConfigError, match=r"has 7 tokens.* leaves 6 .*'1234567'") as error:
    prompt_batch(_TOKENIZER, examples, room=6)
  assert "\n" not in str(error.value)


def test_all_messages_are_in_the_prompt():
  messages = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+2"}]
  batch = prompt_batch(_TOKENIZER, [Example(messages, {})], room=8)
  assert _TOKENIZER.decode(batch.tokens[0][batch.mask[0]].tolist()) == "Add.1+2"


def test_a_solution_ends_with_the_stop_token():
  tokens, mask = solution_batch(
    _TOKENIZER, [_example("q", "46"), _example("q", "1234")], max_tokens=5
  )
  assert tokens.shape == mask.shape == (2, 1, 5)
  np.testing.assert_array_equal(mask[:, 0].sum(axis=-1), [3, 5])
  assert tokens[0, 0, :3].tolist() == [*_TOKENIZER.encode("46"), _TOKENIZER.stop_ids[0]]
  assert tokens[1, 0, 4] == _TOKENIZER.stop_ids[0]


@pytest.mark.parametrize(("solution", "said"), [("", "has 0: ''"), ("12345", "has 5: '12345'")])
def test_a_solution_that_is_empty_or_too_long_is_refused(solution, said):
  with pytest.raises(ConfigError, match="answers of 1 to 4 tokens are needed") as error:
    solution_batch(_TOKENIZER, [_example("q", "1"), _example("q", solution)], max_tokens=5)
  assert said in str(error.value)


@given(solutions=st.lists(_TEXT, min_size=1, max_size=4))
def test_what_was_encoded_is_read_back_without_stop_and_padding(solutions):
  examples = [_example("q", solution) for solution in solutions]
  tokens, mask = solution_batch(_TOKENIZER, examples, max_tokens=21)
  filled = np.where(mask, tokens, _TOKENIZER.encode("7")[0])  # whatever stands after the stop
  assert answer_texts(_TOKENIZER, filled, mask) == [[solution] for solution in solutions]
