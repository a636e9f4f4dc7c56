"""Our logits and token ids against those that transformers computed (tests/parity/record.py)."""

import functools
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grpo_jax import model, weights
from tests import toys
from tests.weights.helpers import DATA, FAMILIES

# Of the largest |logit|: of the real models, and of small ones.
CLOSE, CLOSE_FLOAT = 1e-4, 1e-5


def error_of(ours, theirs) -> float:
  return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())


def all_logits(loaded: weights.Pretrained, rows: list[list[int]], answered: int) -> np.ndarray:
  """Logits [P, answered + 1, V] after each of the last tokens of rows, padded on the left.

  The last `answered` tokens of a row are an answer to those before. One more, which is never fed,
  asks for the logits after all of them.
  """
  net = model.Network(loaded.architecture, remat=False)
  prompts = toys.prompts([row[:-answered] for row in rows], filler=5)
  answers = jnp.asarray([[[*row[-answered:], 0]] for row in rows], jnp.int32)

  @jax.jit
  def compute(params):
    hidden, _ = net.prefill(params, prompts)
    head = net.head(params)
    return model.logits(hidden, head), model.logits(net.answers(params, prompts, answers), head)

  prefilled, logits = compute(loaded.params)
  assert error_of(prefilled, np.asarray(logits[:, 0, 0])) < CLOSE
  return np.asarray(logits[:, 0])


@functools.cache
def recorded(name: str) -> dict[str, np.ndarray]:
  with np.load(os.path.join(DATA, name, "recorded.npz"), allow_pickle=False) as file:
    return dict(file)


@functools.cache
def tokens() -> dict:
  with open(os.path.join(DATA, "smollm2", "tokens.json"), encoding="utf-8") as file:
    return json.load(file)


@pytest.mark.parametrize("answered", [23, 8])
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_of_each_family(name, answered):
  """llama: scaled rotary, own head. qwen2: biases, tied. qwen3: normed heads, two files.

  mistral: windows of 5 tokens. smollm3: a layer without rotary embedding. gemma3: all that it has.
  """
  loaded = weights.load(os.path.join(DATA, name))
  ids, expected = recorded(name)["ids"].tolist(), recorded(name)["logits"]
  # A second row is longer, so that the first is padded.
  ours = all_logits(loaded, [ids, [7, 8, 9, *ids]], answered)
  assert error_of(ours[0], expected[-answered - 1 :]) < CLOSE_FLOAT
  # Two windows of 5 tokens do not reach as far back as the three more.
  blind = name == "mistral" and answered == 8
  assert (error_of(ours[1], expected[-answered - 1 :]) < CLOSE_FLOAT) == blind


def test_logits_of_smollm2(smollm2):
  """The real weights: a reader of GGUF other than ours also turns q and k back."""
  expected = recorded("smollm2")
  logits = all_logits(smollm2, [expected[f"ids_{number}"].tolist() for number in range(3)], 3)
  for number, ours in enumerate(logits):
    assert error_of(ours[:, expected["entries"]], expected[f"entries_{number}"]) < CLOSE
    top = expected[f"top_ids_{number}"]
    assert error_of(np.take_along_axis(ours, top, axis=-1), expected[f"top_{number}"]) < CLOSE
    assert np.argmax(ours, axis=-1).tolist() == top[:, 0].tolist()


@pytest.mark.parametrize("index", range(28))
def test_token_ids(smollm2, index):
  case = tokens()["texts"][index]
  assert smollm2.tokenizer.encode(case["text"]) == case["ids"]


def test_no_recorded_text_is_left_out():
  assert len(tokens()["texts"]) == 28


def test_every_digit_is_a_word_of_its_own(smollm2):
  case = tokens()["digits"]
  assert smollm2.tokenizer.encode(case["text"]) == case["ids"]


@pytest.mark.parametrize("index", [0, 1, 2])
def test_chat_ids(smollm2, index):
  """Without and with a system message, and with a special token in the user's text."""
  case = tokens()["chats"][index]
  assert smollm2.tokenizer.encode_chat(case["messages"]) == case["ids"]


def test_decoding_is_the_inverse_of_encoding(smollm2):
  for case in tokens()["texts"]:
    if "<|" not in case["text"]:
      assert smollm2.tokenizer.decode(case["ids"]) == case["text"]
