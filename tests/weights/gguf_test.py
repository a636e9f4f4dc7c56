"""GGUF files: read as another's writer has them, and refused where the model in them is none.

Malformed bytes are in gguf_file_test.py.
"""

import dataclasses
import functools
import os

import gguf
import jax
import numpy as np
import pytest

from grpo_jax import weights
from tests.weights import gguf_writer
from tests.weights.helpers import DATA, GGUF_FAMILIES, refused

CHAT = [{"role": "user", "content": "3 + 4\n"}]


@pytest.fixture
def path(tmp_path):
  return str(tmp_path / "small.gguf")


@pytest.mark.parametrize("name", GGUF_FAMILIES)
def test_a_gguf_is_the_folder_it_was_made_from(path, name):
  folder = weights.load(os.path.join(DATA, name))
  loaded = weights.load(gguf_writer.write(path, name))
  # A Gemma's norms are kept with 1 added, which rounds.
  atol = 1e-7 if name == "gemma3" else 0
  compare = functools.partial(np.testing.assert_allclose, rtol=0, atol=atol)
  jax.tree.map(compare, loaded.params, folder.params)
  assert jax.tree.structure(loaded.params) == jax.tree.structure(folder.params)
  others = {"rope_theta", "rope_scaling"} if name == "llama" else set()
  others |= {"score_size"}  # of the largest Gemma alone, and in no file
  for field in dataclasses.fields(folder.architecture):
    if field.name not in others:
      ours, theirs = (getattr(x.architecture, field.name) for x in (loaded, folder))
      assert ours == theirs, field.name
  assert loaded.tokenizer.encode_chat(CHAT) == folder.tokenizer.encode_chat(CHAT)
  assert loaded.tokenizer.stop_ids == (*folder.tokenizer.stop_ids, 0)  # <|endoftext|> too


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_1", "F16", "BF16"])
def test_quantised_tensors(path, kind):
  """A step of Q4_1 is 1/15 of a block's range, so an error is at most half of that."""
  name, kind = "blk.1.ffn_gate.weight", gguf.GGMLQuantizationType[kind]
  whole = gguf_writer.arrays("llama")[name]
  params = weights.load(gguf_writer.write(path, "llama", kinds={name: kind})).params
  error = np.abs(params["layers"]["gate"][1].T - whole).max()
  assert 0 < error < np.ptp(whole) / 15


def without(name: str, family="llama") -> dict:
  return {key: array for key, array in gguf_writer.arrays(family).items() if key != name}


@pytest.mark.parametrize(
  ("changes", "named"),
  [
    ({"tensors": without("blk.1.attn_k.weight")}, "blk.1.attn_k.weight"),
    ({"tensors": without("output_norm.weight")}, "output_norm.weight"),
    (
      {"tensors": without("") | {"blk.0.ffn_up.weight": np.zeros((40, 16), np.float32)}},
      "blk.0.ffn_up.weight",
    ),
    ({"llama.block_count": None}, "llama.block_count"),
    ({"llama.block_count": 3}, "blk.2."),
    ({"llama.block_count": 2**31}, "layers"),
    ({"llama.attention.head_count": 0}, "heads"),
    ({"llama.attention.head_count": 3}, "heads=3"),
    ({"llama.embedding_length": "wide"}, "wide"),
    ({"llama.rope.scaling.type": "yarn"}, "scaled rotary"),
    ({"tokenizer.ggml.pre": "elsewhere"}, "elsewhere"),
    ({"tokenizer.ggml.model": "llama"}, "tokenizer.ggml.scores"),
    ({"tokenizer.ggml.model": "bert"}, "'bert'"),
    ({"tokenizer.ggml.eos_token_id": 2**20}, "eos_token_id"),
    ({"tokenizer.ggml.token_type": [1, 1]}, "type"),
    ({"tokenizer.ggml.merges": ["a", "b"]}, "tokenizer"),
  ],
)
def test_a_malformed_model_is_refused(path, changes, named):
  line = refused(gguf_writer.write(path, "llama", **changes))
  assert named in line
  assert path in line


def test_an_unknown_family_is_refused(path):
  gguf_writer.write(path, "llama")
  with open(path, "rb") as file:
    data = file.read()
  with open(path, "wb") as file:
    file.write(data.replace(b"llama", b"mamba"))
  assert "'mamba' is not one of llama, qwen2, qwen3, gemma3" in refused(path)
