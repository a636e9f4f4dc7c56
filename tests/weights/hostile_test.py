"""Hugging Face folders that mean harm, beyond what huggingface_test.py breaks."""

import json
import os
import pickle
import shutil

import pytest

from grpo_jax import weights
from tests.weights.helpers import copy_of, edit_json, refused

INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"


class Bomb:
  """What a pickle can do."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (self.path,)


@pytest.mark.fault(26)
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pickle_does_not_go_off(tmp_path, name):
  """Under its own name, and under that of a safetensors file."""
  folder, canary = copy_of("llama", tmp_path), str(tmp_path / "canary")
  os.remove(os.path.join(folder, "model.safetensors"))
  with open(os.path.join(folder, name), "wb") as file:
    pickle.dump(Bomb(canary), file)
  assert name in refused(folder)
  assert not os.path.exists(canary)


@pytest.mark.fault(27)
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "chat_template.jinja"])
def test_other_files_are_not_links_to_elsewhere(tmp_path, file):
  folder = copy_of("llama", tmp_path)
  shutil.move(os.path.join(folder, file), tmp_path / "secret")
  os.symlink(tmp_path / "secret", os.path.join(folder, file))
  assert f"{file!r} leads out of the folder" in refused(folder)


@pytest.mark.fault(27)
@pytest.mark.parametrize("home", ["snapshots", "elsewhere"])
def test_blobs_are_those_of_the_same_cache(tmp_path, home):
  """A folder called blobs is trusted only where a hub cache has it."""
  folder = tmp_path / "models--a" / home / "0123"
  blobs = tmp_path / ("models--b" if home == "snapshots" else "models--a") / "blobs"
  os.makedirs(folder.parent)
  os.makedirs(blobs)
  shutil.copytree(copy_of("qwen3", tmp_path), folder)
  shutil.move(folder / SHARD, blobs / "0")
  os.symlink(blobs / "0", folder / SHARD)
  assert "leads out of the folder" in refused(str(folder))


@pytest.mark.fault(27)
@pytest.mark.parametrize("file", [5, None, {"a": 1}, "", "a\0b", "config.json", "no.safetensors"])
def test_an_index_that_names_no_weights(tmp_path, file):
  folder = copy_of("qwen3", tmp_path)
  with open(os.path.join(folder, INDEX)) as opened:
    names = json.load(opened)["weight_map"]
  edit_json(folder, INDEX, weight_map=dict.fromkeys(names) | {"a": "b"})
  refused(folder)
  edit_json(folder, INDEX, weight_map=dict.fromkeys(names, file))
  refused(folder)


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"num_attention_heads": 0, "head_dim": None}, "zero"),
    ({"num_hidden_layers": 10**9}, "model.layers.2.input_layernorm.weight is missing"),
    ({"tie_word_embeddings": "no"}, "expected bool"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5 is not supported"),
    ({"use_sliding_window": True}, "use_sliding_window=True is not supported"),
    ({"mlp_bias": True}, "mlp_bias=True is not supported"),
    ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"rope_parameters": {"rope_type": "llama3"}}, "'factor' is missing"),
    ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "one kind of layer"),
    ({"rope_parameters": "no"}, "one kind of layer"),
  ],
)
def test_what_would_be_computed_otherwise_is_refused(tmp_path, fields, said):
  folder = copy_of("llama", tmp_path)
  edit_json(folder, "config.json", **fields)
  assert said in refused(folder)


def test_rotary_parameters_as_transformers_4_has_them(tmp_path):
  """rope_theta and rope_scaling at the top, the kind as `type`."""
  folder = copy_of("llama", tmp_path)
  whole = weights.load(folder).architecture
  with open(os.path.join(folder, "config.json")) as file:
    rope = json.load(file)["rope_parameters"]
  theta = rope.pop("rope_theta")
  scaling = rope | {"type": rope.pop("rope_type")}
  edit_json(folder, "config.json", rope_parameters=None, rope_theta=theta, rope_scaling=scaling)
  assert weights.load(folder).architecture == whole
  assert whole.rope_scaling is not None
  assert whole.rope_theta == 100.0


def test_a_tokenizer_larger_than_the_embedding(tmp_path):
  folder = copy_of("llama", tmp_path)
  path = os.path.join(folder, "tokenizer.json")
  with open(path, encoding="utf-8") as file:
    source = json.load(file)
  source["model"]["vocab"]["zz"] = 99
  with open(path, "w", encoding="utf-8") as file:
    json.dump(source, file)
  assert "has 100 tokens, the embedding only 99" in refused(folder)
