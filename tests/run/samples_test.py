"""Records of answers: what each has, tokens as texts, and a file that is the same text twice."""

import dataclasses
import json

import numpy as np
import pytest

from grpo_jax import config
from grpo_jax.rewards import Scores
from grpo_jax.run import loop
from grpo_jax.run.answers import Answers
from grpo_jax.run.samples import pieces, sample_records, token_records
from grpo_jax.tasks import Example
from grpo_jax.types import Prompts, Rollout
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests.faults import tiny


def _rollout(tokens, mask, logprobs):
  tokens, mask = np.asarray(tokens, np.int32), np.asarray(mask, bool)
  prompts = Prompts(np.zeros((len(tokens), 1), np.int32), np.ones((len(tokens), 1), bool))
  finished = np.zeros(mask.shape[:2], bool)
  finished[:, 0] = True
  return Rollout(prompts, tokens, mask, np.asarray(logprobs, np.float32), finished)


def _answers(rollout, **parts):
  P, G = rollout.finished.shape
  arrays = {name: np.asarray(part, np.float32) for name, part in parts.items()}
  total = sum(arrays.values())
  scores = Scores(total, arrays, np.stack(list(arrays.values())), np.ones(len(arrays)))
  examples = [
    Example([{"role": "user", "content": f"q{row}"}], {"answer": row}, "") for row in range(P)
  ]
  return Answers(examples, rollout, [["a"] * G] * P, scores, np.zeros(2))


_TWO = _rollout(
  [[[1, 2, 9], [3, 9, 9]]], [[[1, 1, 1], [1, 0, 0]]], [[[-0.5, -1.23456, -0.0], [0, 7, 7]]]
)


def test_a_record_has_all_that_is_known_of_its_answers():
  (record,) = sample_records(
    _answers(_TWO, a=[[1.0, 0.0]]), np.array([[1.0, -1.0]]), [{"task": "t"}]
  )
  assert record == {
    "task": "t",
    "prompt": "q0",
    "answer": 0,
    "completions": ["a", "a"],
    "rewards": [1.0, 0.0],
    "advantages": [1.0, -1.0],
    "lengths": [3, 1],
    "finished": [True, False],
  }
  assert json.loads(json.dumps(record)) == record


def test_several_rewards_are_told_apart():
  answers = _answers(_TWO, a=[[1.0, 0.0]], b=[[0.5, 0.25]])
  (record,) = sample_records(answers, np.zeros((1, 2)))
  assert record["parts"] == {"a": [1.0, 0.0], "b": [0.5, 0.25]}
  assert record["rewards"] == [1.5, 0.25]


def test_tokens_are_texts_with_three_decimals_and_padding_is_none():
  stop = CharacterTokenizer().stop_ids[0]
  own = CharacterTokenizer().encode("12 ")
  rollout = _rollout([[[*own[:2], stop], [own[2], 9, 9]]], [[[1, 1, 1], [1, 0, 0]]], _TWO.logprobs)
  (record,) = token_records(CharacterTokenizer(), rollout, 5)
  assert record == {"tokens": [["1", "2", ""], [" "]], "logprobs": [[-0.5, -1.235, 0.0], [0.0]]}
  assert str(record["logprobs"]).count("-0.0") == 0
  assert token_records(CharacterTokenizer(), rollout, 0) == []


def test_what_an_environment_says_has_no_log_probs():
  ids = CharacterTokenizer().encode("ab-cd")
  mask = [[[1, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]]
  rollout = _rollout([[[*ids, 0], [0] * 6]], mask, np.full((1, 2, 6), -1.0))
  (record,) = token_records(CharacterTokenizer(), rollout, 1)
  assert record["tokens"] == [["a", "b", "-", "c", "d"], []]
  assert record["logprobs"] == [[-1.0, -1.0, None, -1.0, -1.0], []]


def test_a_character_of_several_tokens_is_the_last_ones():
  """Bytes as tokens, two for é and four for 🙂; a half at the end stays what it is decoded to."""
  text = "é🙂 a"
  ids = tuple(text.encode())

  def decode(own):
    return bytes(own).decode("utf-8", "replace")

  assert pieces(decode, ids) == ["", "é", "", "", "", "🙂", " ", "a"]
  assert "".join(pieces(decode, ids[:3])) == "é�"
  assert pieces(decode, ()) == []


@pytest.mark.parametrize("text", ["12 + 7 = 19", "  two  spaces ", "naïve Ω 🙂 <stop>"])
def test_the_pieces_of_a_real_tokenizer_are_its_text(smollm2, text):
  ids = tuple(smollm2.tokenizer.encode(text))
  found = pieces(smollm2.tokenizer.decode, ids)
  assert len(found) == len(ids)
  assert "".join(found) == smollm2.tokenizer.decode(ids)


def _short(**fields):
  found = tiny.get_config()
  found.stages["sft"].steps, found.stages["rl"].steps = 1, 2
  return dataclasses.replace(found, **fields)


def _lines(folder):
  return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_equal_runs_write_equal_samples_and_the_field_says_of_how_many_prompts(tmp_path):
  for name in ("one", "two"):
    loop.run(_short(), str(tmp_path / name), say=lambda _: None)
  one, two = ((tmp_path / name / "samples.jsonl").read_bytes() for name in ("one", "two"))
  assert one == two
  lines = _lines(tmp_path / "one")
  assert ["tokens" in line for line in lines] == [True, True, False, False] * 2
  for line in lines:
    assert len(line["lengths"]) == len(line["finished"]) == len(line["completions"]) == 4
    for texts, values, length in zip(
      line.get("tokens", []), line.get("logprobs", []), line["lengths"], strict=False
    ):
      assert len(texts) == len(values) == length
      assert all(value <= 0 for value in values)
  assert lines[0]["completions"] == ["".join(texts) for texts in lines[0]["tokens"]]

  none = _short(samples=config.Samples(token_prompts=0))
  loop.run(none, str(tmp_path / "none"), say=lambda _: None)
  assert not any("tokens" in line for line in _lines(tmp_path / "none"))
