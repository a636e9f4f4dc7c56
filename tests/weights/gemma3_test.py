"""Gemma 3 270M, the real weights: against SentencePiece and transformers, and in its own words."""

import json
import os

import jax
import numpy as np
import pytest

from grpo_jax import model, weights
from grpo_jax.logprobs import answer_logprobs
from grpo_jax.rollout import make_rollout
from tests import toys
from tests.weights.helpers import DATA
from tests.weights.parity_test import CLOSE, all_logits, error_of, recorded

pytestmark = pytest.mark.slow
TEMPERATURE = 0.7


def test_token_ids_are_sentencepieces(gemma3):
  """Runs of spaces and new lines, digits, accents, emoji, bytes that no piece has."""
  with open(os.path.join(DATA, "gemma-3-270m", "tokens.json"), encoding="utf-8") as file:
    texts = json.load(file)["texts"]
  assert len(texts) == 35
  for case in texts:
    # A control token written in a text is one here, and only letters to SentencePiece.
    assert gemma3.tokenizer.encode(case["text"]) == case["ids"], case["text"]
    assert gemma3.tokenizer.decode(case["ids"]).replace("\u2581", " ") == case["text"].replace(
      "\u2581", " "
    )


def test_logits_are_those_of_transformers(gemma3):
  """Two prompts, and one that is longer than the window of 512 tokens, padded to one length."""
  expected = recorded("gemma-3-270m")
  rows = [expected[f"ids_{number}"].tolist() for number in range(3)]
  assert len(rows[2]) > gemma3.architecture.sliding_window + 200
  for number, ours in enumerate(all_logits(gemma3, rows, 3)):
    assert error_of(ours[:, expected["entries"]], expected[f"entries_{number}"]) < CLOSE
    top = expected[f"top_ids_{number}"]
    assert error_of(np.take_along_axis(ours, top, axis=-1), expected[f"top_{number}"]) < CLOSE
    assert np.argmax(ours, axis=-1).tolist() == top[:, 0].tolist()


def sampled(gemma3, questions, *, group_size, temperature, max_tokens):
  net = model.Network(gemma3.architecture, remat=False)
  rows = [gemma3.tokenizer.encode_chat([{"role": "user", "content": q}]) for q in questions]
  stops = gemma3.tokenizer.stop_ids
  rollout = make_rollout(
    net, group_size=group_size, max_tokens=max_tokens, stop_ids=stops, temperature=temperature
  )
  keys = jax.random.split(jax.random.key(3), len(rows))
  params = jax.tree.map(jax.numpy.asarray, gemma3.params)
  return net, params, jax.jit(rollout)(params, toys.prompts(rows, filler=11), keys)


def test_it_answers_in_words_that_make_sense(gemma3):
  """Greedily; a base model goes on with a text, once the token that it wants first is there."""
  asked = {
    "Question: What is the capital of France?\nAnswer:": " Paris",
    "Question: What is the opposite of hot?\nAnswer:": " cold",
    "Monday, Tuesday, Wednesday, Thursday,": " Friday, Saturday, Sunday",
    "2 + 9 = 11\n6 + 1 = 7\n3 + 4 =": " 7\n",
  }
  _, _, found = sampled(gemma3, asked, group_size=1, temperature=0.0, max_tokens=8)
  rows = zip(found.tokens[:, 0], found.mask[:, 0], asked.values(), strict=True)
  for answer, mask, wanted in rows:
    text = gemma3.tokenizer.decode(np.asarray(answer)[np.asarray(mask)])
    assert text.startswith(wanted), text


def test_sampled_logprobs_are_the_trainers(gemma3):
  questions = ["17 + 25 =", "The sea, the wind and a very old ship went together, until one day"]
  net, params, found = sampled(
    gemma3, questions, group_size=2, temperature=TEMPERATURE, max_tokens=12
  )
  trained = jax.jit(lambda p, r: answer_logprobs(net, p, r, temperature=TEMPERATURE)[0])
  difference = np.abs(np.asarray(found.logprobs) - np.asarray(trained(params, found)))
  assert np.where(found.mask, difference, 0).max() < 1e-4


def test_it_comes_back_from_its_export(tmp_path, gemma3):
  """Weights bit for bit, and the tokenizer whose merges were not in the file."""
  weights.save(str(tmp_path), gemma3.architecture, gemma3.params, gemma3.tokenizer)
  again = weights.load(str(tmp_path))
  os.remove(tmp_path / "model.safetensors")  # pytest keeps its folders, and this one is large
  assert again.architecture == gemma3.architecture
  jax.tree.map(np.testing.assert_array_equal, again.params, gemma3.params)
  assert again.tokenizer.files() == gemma3.tokenizer.files()
  assert again.tokenizer.stop_ids == gemma3.tokenizer.stop_ids
