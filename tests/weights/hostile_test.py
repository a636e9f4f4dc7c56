"""Hugging Face folders that are broken or mean harm: refused with one line, and no code runs."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest

from grpo_jax import weights
from tests.weights.helpers import copy_of, edit_json, one_line

pytest.importorskip("tokenizers")
save_file = pytest.importorskip("safetensors.numpy").save_file

INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00002.safetensors"


def refused(folder) -> str:
  with pytest.raises(weights.WeightsError) as info:
    weights.load(str(folder))
  text = one_line(info)
  assert str(folder) in text
  return text


class Bomb:
  """What a pickle can do."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (self.path,)


def test_a_pickle_is_never_opened(tmp_path):
  folder, canary = copy_of("llama", tmp_path), str(tmp_path / "canary")
  os.remove(os.path.join(folder, "model.safetensors"))
  with open(os.path.join(folder, "pytorch_model.bin"), "wb") as file:
    pickle.dump(Bomb(canary), file)
  assert "pytorch_model.bin is a pickle" in refused(folder)
  os.rename(os.path.join(folder, "pytorch_model.bin"), os.path.join(folder, "model.safetensors"))
  assert "not a whole safetensors file" in refused(folder)
  assert not os.path.exists(canary)


def test_code_beside_the_weights_is_left_alone(tmp_path):
  """Fields that make others fetch and run code are not read at all."""
  folder, canary = copy_of("qwen2", tmp_path), tmp_path / "canary"
  code = f"open({str(canary)!r}, 'w')\n"
  for name in ("modeling_evil.py", "tokenization_evil.py", "config.py"):
    with open(os.path.join(folder, name), "w") as file:
      file.write(code)
  edit_json(
    folder,
    "config.json",
    auto_map={"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M"},
    _target_="os.system",
    _attn_implementation_internal="evil/kernel",
    custom_pipelines={"a": {"impl": "modeling_evil.P"}},
  )
  edit_json(
    folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.T", None]}
  )
  loaded = weights.load(folder)
  assert loaded.architecture.qkv_bias
  assert loaded.tokenizer.encode("ab")
  assert not canary.exists()


@pytest.mark.parametrize("way", ["../outside.safetensors", "{root}/outside.safetensors", "link"])
def test_weights_outside_the_folder(tmp_path, way):
  folder = copy_of("qwen3", tmp_path)
  outside = tmp_path / "outside.safetensors"
  shutil.move(os.path.join(folder, SHARD), outside)
  if way == "link":
    os.symlink(outside, os.path.join(folder, SHARD))
  else:
    point_index_at(folder, way.format(root=tmp_path))
  assert "leads out of the folder" in refused(folder)


def point_index_at(folder, file) -> None:
  with open(os.path.join(folder, INDEX)) as opened:
    weight_map = json.load(opened)["weight_map"]
  moved = {name: file if old == SHARD else old for name, old in weight_map.items()}
  edit_json(folder, INDEX, weight_map=moved)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_other_files_are_not_links_to_elsewhere(tmp_path, file):
  folder = copy_of("llama", tmp_path)
  shutil.move(os.path.join(folder, file), tmp_path / "secret")
  os.symlink(tmp_path / "secret", os.path.join(folder, file))
  assert f"{file!r} leads out of the folder" in refused(folder)


def test_a_hub_cache_links_to_its_own_blobs(tmp_path):
  revision = tmp_path / "models--a--b" / "snapshots" / "0123"
  blobs = tmp_path / "models--a--b" / "blobs"
  os.makedirs(revision)
  shutil.copytree(copy_of("qwen3", tmp_path), blobs)
  for name in os.listdir(blobs):
    os.symlink(os.path.join("..", "..", "blobs", name), revision / name)
  assert weights.load(str(revision)).architecture.qk_norm
  os.remove(revision / SHARD)
  shutil.move(blobs / SHARD, tmp_path / SHARD)
  os.symlink(tmp_path / SHARD, revision / SHARD)
  assert "leads out" in refused(revision)


@pytest.mark.parametrize(
  "file", [5, None, {"a": 1}, "", ".", "a\0b", "config.json", "none.safetensors"]
)
def test_an_index_that_names_no_weights(tmp_path, file):
  folder = copy_of("qwen3", tmp_path)
  point_index_at(folder, file)
  refused(folder)


@pytest.mark.parametrize("size", [0, 7, 8, 300, -1])
def test_truncated_weights(tmp_path, size):
  folder = copy_of("llama", tmp_path)
  path = os.path.join(folder, "model.safetensors")
  with open(path, "rb") as file:
    whole = file.read()
  with open(path, "wb") as file:
    file.write(whole[:size])
  assert "model.safetensors: not a whole safetensors file" in refused(folder)


def test_a_header_larger_than_the_file(tmp_path):
  folder = copy_of("llama", tmp_path)
  with open(os.path.join(folder, "model.safetensors"), "wb") as file:
    file.write((2**62).to_bytes(8, "little") + b"{}")
  refused(folder)


@pytest.mark.parametrize(
  ("change", "said"),
  [
    (lambda t: t.pop("model.norm.weight"), "model.norm.weight is missing"),
    (
      lambda t: t.update({"model.norm.weight": np.ones(31, np.float32)}),
      "model.norm.weight has shape (31,), expected (32,)",
    ),
    (
      lambda t: t.update({"model.norm.weight": np.ones(32, np.int8)}),
      "model.norm.weight has type I8, not one of F32, F16, BF16",
    ),
    (lambda t: t.pop("lm_head.weight"), "lm_head.weight is missing"),
  ],
)
def test_a_tensor_that_does_not_fit_is_named(tmp_path, change, said):
  folder = copy_of("llama", tmp_path)
  path = os.path.join(folder, "model.safetensors")
  from safetensors.numpy import load_file

  tensors = load_file(path)
  change(tensors)
  save_file(tensors, path)
  assert said in refused(folder)


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"model_type": "gpt2"}, "model_type='gpt2' is not one of llama, qwen2, qwen3"),
    ({"model_type": None}, "model_type=None"),
    ({"hidden_size": None}, "field 'hidden_size' is missing"),
    ({"hidden_size": "32"}, "hidden_size='32': expected int"),
    ({"hidden_size": 32.5}, "hidden_size=32.5: expected int"),
    ({"num_hidden_layers": -1}, "layers=-1: must be >= 1"),
    ({"num_hidden_layers": 10**9}, "model.layers.2.input_layernorm.weight is missing"),
    ({"num_attention_heads": 0, "head_dim": None}, "zero"),
    ({"num_key_value_heads": 3}, "must be a multiple"),
    ({"vocab_size": 10**12}, "model.embed_tokens.weight has shape"),
    ({"rms_norm_eps": float("nan")}, "finite"),
    ({"tie_word_embeddings": "no"}, "expected bool"),
    ({"hidden_act": "gelu"}, "hidden_act='gelu' is not supported"),
    ({"attention_bias": True}, "attention_bias=True is not supported"),
    ({"partial_rotary_factor": 0.5}, "partial_rotary_factor=0.5 is not supported"),
    ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "'yarn' is not supported"),
    ({"rope_parameters": {"rope_type": "llama3"}}, "'factor' is missing"),
    ({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}}, "one kind of layer"),
    ({"rope_parameters": "no"}, "one kind of layer"),
  ],
)
def test_a_config_that_cannot_be_computed(tmp_path, fields, said):
  folder = copy_of("llama", tmp_path)
  edit_json(folder, "config.json", **fields)
  assert said in refused(folder)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_json_that_is_none(tmp_path, file, text):
  folder = copy_of("llama", tmp_path)
  with open(os.path.join(folder, file), "wb") as opened:
    opened.write(text)
  refused(folder)


def test_a_tokenizer_larger_than_the_embedding(tmp_path):
  folder = copy_of("llama", tmp_path)
  path = os.path.join(folder, "tokenizer.json")
  with open(path, encoding="utf-8") as file:
    source = json.load(file)
  source["model"]["vocab"]["zz"] = 99
  with open(path, "w", encoding="utf-8") as file:
    json.dump(source, file)
  assert "has 100 tokens, the embedding only 99" in refused(folder)


@pytest.mark.parametrize("path", ["none", "none.gguf", "file.bin"])
def test_a_path_that_is_no_model(tmp_path, path):
  (tmp_path / "file.bin").write_bytes(b"\x80\x04.")
  assert "a folder with config.json and *.safetensors, or a .gguf file" in refused(tmp_path / path)
