"""What fuzzing found in the readers of model files: each was a traceback, or had no end, before."""

import json
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from grpo_jax import weights
from grpo_jax.weights.errors import WeightsError, refusing
from grpo_jax.weights.gguf_file import Contents, Entry, check_places
from grpo_jax.weights.safetensors import FolderTensors
from grpo_jax.weights.tokenizer import HuggingFaceTokenizer
from tests.weights.gguf_file_test import write
from tests.weights.helpers import copy_of, edit_json, one_line, refused


@pytest.fixture
def llama(tmp_path):
  return copy_of("llama", tmp_path)


def _tokenizer(folder: str, **parts) -> str:
  path = os.path.join(folder, "tokenizer.json")
  with open(path, encoding="utf-8") as file:
    return json.dumps(json.load(file) | parts)


def _split(pattern: str) -> dict:
  return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


# --- libraries in Rust that give up: what they raise is no Exception


def test_a_tokenizer_that_makes_its_library_give_up(llama):
  normalizer = {"type": "Precompiled", "precompiled_charsmap": "AAAAAAAA////"}
  edit_json(llama, "tokenizer.json", normalizer=normalizer)
  assert "Cannot parse precompiled_charsmap" in refused(llama)


@pytest.mark.parametrize(
  "parts",
  [
    {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    {"pre_tokenizer": _split("(a+)+$")},  # 2^40 ways to fail
    {"decoder": {"type": "Strip", "content": "a", "start": 10**9, "stop": 10**9}},
  ],
)
def test_one_that_gives_up_at_a_text(llama, parts):
  tokenizer = HuggingFaceTokenizer(_tokenizer(llama, **parts), None, ["<|im_end|>"], {})
  with pytest.raises(WeightsError) as info:
    tokenizer.decode(tokenizer.encode("a" * 40 + " b"))
  assert "the tokenizer cannot" in one_line(info)


def test_ctrl_c_is_no_malformed_file():
  with pytest.raises(KeyboardInterrupt), refusing("a file"):
    raise KeyboardInterrupt


# --- tokenizers


@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_replacements_that_blow_a_text_up(llama, part):
  """Thirty times double: a billion characters for one."""
  doubled = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
  inner = {"normalizer": "normalizers", "decoder": "decoders"}[part]
  edit_json(llama, "tokenizer.json", **{part: {"type": "Sequence", inner: [doubled] * 30}})
  assert f"{part} replaces one character by more than 64" in refused(llama)


def test_an_id_beyond_the_embedding(llama):
  """Few tokens, but one of them has the number of none of its rows."""
  with open(os.path.join(llama, "tokenizer.json"), encoding="utf-8") as file:
    model = json.load(file)["model"]
  model["vocab"]["a"] = 10**6
  edit_json(llama, "tokenizer.json", model=model)
  assert "has 1000001 tokens, the embedding only 99" in refused(llama)


@pytest.mark.parametrize("name", [[], {}, [["default"]]])
def test_a_template_whose_name_is_none(llama, name):
  os.remove(os.path.join(llama, "chat_template.jinja"))
  entries = [{"name": name, "template": "no"}, {"name": "default", "template": "a"}]
  edit_json(llama, "tokenizer_config.json", chat_template=entries)
  loaded = weights.load(llama).tokenizer
  assert loaded.encode_chat([]) == loaded.encode("a")


@pytest.mark.parametrize("name", ["eos_token", "chat_template"])
def test_half_a_surrogate_pair_is_no_token(llama, name):
  os.remove(os.path.join(llama, "chat_template.jinja"))
  edit_json(llama, "tokenizer_config.json", **{name: "\ud800"})
  assert "tokenizer_config.json" in refused(llama)


@pytest.mark.parametrize("value", [7, ["a"], np.float32(1)])
def test_a_template_of_a_gguf_that_is_no_text(value):
  from grpo_jax.weights.gguf_tokenizer import rebuild

  metadata = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "smollm"}
  metadata |= {"tokenizer.ggml.tokens": ["a"], "tokenizer.ggml.token_type": [1]}
  metadata |= {"tokenizer.ggml.eos_token_id": 0, "tokenizer.chat_template": value}
  with pytest.raises(WeightsError, match="no text"):
    rebuild(metadata)


# --- sizes


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja"])
def test_a_terabyte_of_nothing_is_not_read(llama, name):
  os.truncate(os.path.join(llama, name), 2**40)
  assert name in refused(llama)


def test_heads_whose_product_overflows_to_none(llama):
  """2^32 heads of 2^32: no rows at all, in whole numbers of 64 bits."""
  edit_json(llama, "config.json", num_attention_heads=2**32, num_key_value_heads=2**32)
  edit_json(llama, "config.json", head_dim=2**32)
  path = os.path.join(llama, "model.safetensors")
  tensors = load_file(path)
  for name in tensors:
    if any(part in name for part in ("q_proj", "k_proj", "v_proj")):
      tensors[name] = np.zeros((0, 32), np.float32)
    if "o_proj" in name:
      tensors[name] = np.zeros((32, 0), np.float32)
  save_file(tensors, path)
  assert "expected (18446744073709551616, 32)" in refused(llama)


def test_many_tensors_take_no_longer_each(llama):
  """With a list of all names for each, 20,000 took over ten seconds, and a million hours."""
  names = [f"a{number}" for number in range(20_000)]
  empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
  header = json.dumps(dict.fromkeys(names, empty)).encode()
  with open(os.path.join(llama, "model.safetensors"), "wb") as file:
    file.write(struct.pack("<Q", len(header)) + header)
  tensors = FolderTensors(llama)
  started = time.process_time()
  assert all(tensors.shape(name) == (0,) for name in names)
  assert time.process_time() - started < 5


def test_tensors_of_a_gguf_that_share_their_bytes(tmp_path):
  path = str(tmp_path / "a.gguf")
  write(path)
  with open(path, "rb") as file:
    whole = file.read()
  # Where a tensor's entry ends: its number of bytes after the first tensor.
  at = whole.index(b"blk.1.ffn_up.weight") + len("blk.1.ffn_up.weight") + 4 + 2 * 8 + 4
  with open(path, "wb") as file:
    file.write(whole[:at] + struct.pack("<Q", 0) + whole[at + 8 :])
  assert "overlap" in refused(path)


def test_a_tensor_without_room_in_a_gguf(tmp_path):
  """Seen before any tensor is read, or memory asked for."""
  for shape, start in (((2**40,), 0), ((8,), 40), ((1,), 2**63)):
    contents = Contents({}, {"a": Entry(shape, 0, start)}, np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match="a reaches past the end of the file"):
      check_places(contents)


@pytest.mark.fault(22)
def test_weights_that_do_not_fit_are_one_line(tmp_path):
  """A file of holes, as large as it says, in a process that may not have so much memory."""
  folder = copy_of("llama", tmp_path)
  edit_json(folder, "config.json", vocab_size=2**27)
  path = os.path.join(folder, "model.safetensors")
  shapes = {name: list(array.shape) for name, array in load_file(path).items()}
  header, at = {}, 0
  for name, shape in shapes.items():
    shape = [2**27, 32] if 99 in shape else shape
    end = at + 4 * int(np.prod(shape, dtype=object))
    header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, end]}
    at = end
  text = json.dumps(header).encode()
  with open(path, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text)
    file.truncate(8 + len(text) + at)
  code = (
    "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30));"
    " from grpo_jax import weights\n"
    "try: weights.load(sys.argv[1])\n"
    "except weights.WeightsError as error: print(error)"
  )
  done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert folder in done.stdout


# --- names and lines


@pytest.mark.fault(27)
@pytest.mark.parametrize("name", ["\ud800.safetensors", "../\ud800"])
def test_a_name_that_no_file_can_have(llama, name):
  edit_json(llama, "config.json")
  with open(os.path.join(llama, "model.safetensors.index.json"), "w") as file:
    json.dump({"weight_map": {"a": name}}, file)
  assert llama in refused(llama)


@pytest.mark.fault(35)
def test_a_line_can_be_printed():
  """On a terminal that takes orders, and in UTF-8."""
  line = str(WeightsError("a\x1b[2J\ud800\r\nb\x00" + "c" * 10**6))
  assert line.isprintable()
  assert line.startswith("a\ufffd[2J\ufffd b\ufffdc")
  assert len(line) < 600
