"""Folders of strangers: each fault is one line that names it, and no code of theirs is run."""

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from grpo_jax import weights
from tests.weights.helpers import copy_of, edit_json, refused

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


@pytest.fixture
def llama(tmp_path):
  return copy_of("llama", tmp_path)


@pytest.fixture
def qwen3(tmp_path):
  return copy_of("qwen3", tmp_path)


def edit_tensors(folder: str, change) -> None:
  path = os.path.join(folder, SINGLE)
  save_file(change(load_file(path)), path)


# --- tensors


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 2000, 40_000, -1])
def test_a_truncated_file_of_tensors(llama, kept):
  path = os.path.join(llama, SINGLE)
  size = os.path.getsize(path)
  os.truncate(path, kept if kept >= 0 else size - 1)
  assert SINGLE in refused(llama)


def test_a_header_that_claims_more_than_the_file_has(llama):
  path = os.path.join(llama, SINGLE)
  with open(path, "r+b") as file:
    file.write(struct.pack("<Q", 2**62))
  assert SINGLE in refused(llama)


@pytest.mark.parametrize("name", ["lm_head.weight", "model.layers.1.mlp.up_proj.weight"])
def test_a_missing_tensor(llama, name):
  edit_tensors(llama, lambda found: {key: found[key] for key in found if key != name})
  assert f"tensor {name} is missing" in refused(llama)


def test_a_missing_tensor_of_the_index(qwen3):
  with open(os.path.join(qwen3, INDEX), encoding="utf-8") as file:
    weight_map = json.load(file)["weight_map"]
  del weight_map["model.norm.weight"]
  edit_json(qwen3, INDEX, weight_map=weight_map)
  assert "model.norm.weight" in refused(qwen3)


def test_a_missing_file_of_the_index(qwen3):
  os.remove(os.path.join(qwen3, "model-00002-of-00002.safetensors"))
  assert "model-00002-of-00002.safetensors" in refused(qwen3)


@pytest.mark.parametrize("shape", [(100, 32), (99, 16), (32, 99), (99 * 32,), (99, 32, 1)])
def test_a_wrong_shape(llama, shape):
  """Also the transpose, and the right number of entries in another shape."""
  edit_tensors(llama, lambda found: found | {"lm_head.weight": np.zeros(shape, np.float32)})
  line = refused(llama)
  assert "lm_head.weight" in line
  assert str(shape[0]) in line


def test_a_tensor_of_whole_numbers(llama):
  edit_tensors(llama, lambda found: found | {"lm_head.weight": np.zeros((99, 32), np.int32)})
  assert "lm_head.weight" in refused(llama)


def test_half_precision_is_read_as_float32(llama):
  import ml_dtypes

  whole = weights.load(llama).params["head"]
  for dtype in (np.float16, ml_dtypes.bfloat16):
    edit_tensors(llama, lambda found, t=dtype: {k: v.astype(t) for k, v in found.items()})
    head = weights.load(llama).params["head"]
    assert head.dtype == np.float32
    np.testing.assert_allclose(head, whole, rtol=2**-7)


@pytest.mark.fault(26)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_pickles_are_refused(llama, name):
  os.rename(os.path.join(llama, SINGLE), os.path.join(llama, name))
  line = refused(llama)
  assert name in line
  assert "pickle" in line


@pytest.mark.fault(26)
def test_a_pickle_behind_the_index_is_refused(qwen3):
  with open(os.path.join(qwen3, "pytorch_model.bin"), "wb") as file:
    file.write(b"cos\nsystem\n(S'touch canary'\ntR.")
  with open(os.path.join(qwen3, INDEX), encoding="utf-8") as file:
    names = json.load(file)["weight_map"]
  edit_json(qwen3, INDEX, weight_map=dict.fromkeys(names, "pytorch_model.bin"))
  assert "pytorch_model.bin" in refused(qwen3)


# --- paths


@pytest.mark.fault(27)
@pytest.mark.parametrize("how", ["parent", "absolute", "link", "deep"])
def test_no_path_leads_out_of_the_folder(qwen3, tmp_path, how):
  """What it leads to is a whole file of tensors, so that only the path is at fault."""
  shard = "model-00001-of-00002.safetensors"
  outside = tmp_path / "elsewhere.safetensors"
  os.rename(os.path.join(qwen3, shard), outside)
  names = {"parent": "../elsewhere.safetensors", "absolute": str(outside)}
  names |= {"link": shard, "deep": "x/../../elsewhere.safetensors"}
  if how == "link":
    os.symlink(outside, os.path.join(qwen3, shard))
  with open(os.path.join(qwen3, INDEX), encoding="utf-8") as file:
    weight_map = json.load(file)["weight_map"]
  changed = {key: names[how] if name == shard else name for key, name in weight_map.items()}
  edit_json(qwen3, INDEX, weight_map=changed)
  assert "out of the folder" in refused(qwen3)


@pytest.mark.fault(27)
def test_a_tokenizer_that_links_out_of_the_folder(llama, tmp_path):
  path = os.path.join(llama, "tokenizer.json")
  os.rename(path, tmp_path / "elsewhere.json")
  os.symlink(tmp_path / "elsewhere.json", path)
  assert "out of the folder" in refused(llama)


def test_the_layout_of_the_hubs_cache_is_followed(tmp_path):
  """models--x/snapshots/<revision>/ links to models--x/blobs/."""
  root = tmp_path / "models--x"
  folder = copy_of("llama", root / "snapshots")
  os.makedirs(root / "blobs")
  for number, name in enumerate(os.listdir(folder)):
    os.rename(os.path.join(folder, name), root / "blobs" / str(number))
    os.symlink(os.path.join("..", "..", "blobs", str(number)), os.path.join(folder, name))
  assert weights.load(folder).architecture.hidden_size == 32


# --- config.json


@pytest.mark.parametrize("family", ["mamba", "gpt2", None, 3, ["llama"]])
def test_an_unknown_family(llama, family):
  edit_json(llama, "config.json", model_type=family)
  line = refused(llama)
  assert "llama, mistral, qwen2, qwen3, smollm3, gemma3_text" in line
  assert "config.json" in line


@pytest.mark.parametrize(
  "name",
  [
    *("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"),
    *("intermediate_size", "max_position_embeddings", "rms_norm_eps"),
  ],
)
@pytest.mark.parametrize("value", [None, "wide", -1, 0, {}, float("nan")])
def test_a_field_that_is_missing_or_no_size(llama, name, value):
  edit_json(llama, "config.json", **{name: value})
  assert llama in refused(llama)


@pytest.mark.parametrize(
  "fields",
  [
    {"num_hidden_layers": 10**9},
    {"hidden_size": 10**12},
    {"vocab_size": 2**62},
    {"num_key_value_heads": 3},
    {"head_dim": 7},
    {"hidden_act": "gelu"},
    {"attention_bias": True},
    {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0}},
    {"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}},
  ],
)
def test_a_shape_that_the_weights_have_not(llama, fields):
  """Sizes are held against the files before anything of that size is made."""
  edit_json(llama, "config.json", **fields)
  refused(llama)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{" * 100_000, "[" * 100_000, "\xff\xfe"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_file_that_is_no_object(llama, name, text):
  with open(os.path.join(llama, name), "w", encoding="latin-1") as file:
    file.write(text)
  refused(llama)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", SINGLE])
def test_a_missing_file(llama, name):
  os.remove(os.path.join(llama, name))
  assert name in refused(llama)


@pytest.mark.fault(26)
def test_keys_that_name_code_are_not_followed(llama, tmp_path, monkeypatch):
  """auto_map and friends: the module is there, and would leave a canary."""
  whole = weights.load(llama)
  monkeypatch.chdir(llama)
  canary = tmp_path / "canary"
  for name in ("modeling_evil", "configuration_evil", "tokenization_evil", "sitecustomize"):
    with open(os.path.join(llama, f"{name}.py"), "w", encoding="utf-8") as file:
      file.write(f"open({str(canary)!r}, 'w').close()\nclass Evil: pass\n")
  classes = {"AutoConfig": "configuration_evil.Evil", "AutoModelForCausalLM": "modeling_evil.Evil"}
  hostile = {"auto_map": classes, "trust_remote_code": True, "custom_pipelines": {"x": "evil"}}
  edit_json(llama, "config.json", **hostile, transformers_version="__import__('os')")
  tokenizer = {"AutoTokenizer": ["tokenization_evil.Evil", None]}
  edit_json(llama, "tokenizer_config.json", auto_map=tokenizer, tokenizer_class="Evil")
  loaded = weights.load(llama)
  chat = [{"role": "user", "content": "3"}]
  assert loaded.tokenizer.encode_chat(chat) == whole.tokenizer.encode_chat(chat)
  assert loaded.architecture == whole.architecture
  assert not canary.exists()


@pytest.mark.parametrize("path", ["nowhere", "", "config.json"])
def test_a_path_that_is_no_model(llama, path, monkeypatch):
  monkeypatch.chdir(llama)
  assert "config.model.weights" in refused(path)
