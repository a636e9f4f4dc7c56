"""GGUF files written here: well formed, and broken in every way that a count can be."""

import struct

import numpy as np
import pytest

from grpo_jax import weights
from tests.weights.helpers import one_line

gguf = pytest.importorskip("gguf")

LETTERS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "a", "b", "ab", "<keep>", "1"]
N, K, H, D, F, L = 4, 2, 6, 8, 10, 2


def write(path, family="llama", changes=(), tensors=(), pre="smollm", template=None) -> dict:
  """A small model in llama.cpp's layout; returns what is in it, in ours."""
  rng = np.random.default_rng(5)
  writer = gguf.GGUFWriter(path, family)
  numbers = {
    "block_count": L,
    "context_length": 64,
    "embedding_length": D,
    "feed_forward_length": F,
    "attention.head_count": N,
    "attention.head_count_kv": K,
    "attention.key_length": H,
  } | dict(changes)
  for name, value in numbers.items():
    if value is not None:
      writer.add_uint32(f"{family}.{name}", value)
  writer.add_float32(f"{family}.attention.layer_norm_rms_epsilon", 1e-6)
  writer.add_float32(f"{family}.rope.freq_base", 5000.0)
  writer.add_tokenizer_model("gpt2")
  writer.add_tokenizer_pre(pre)
  writer.add_token_list(LETTERS)
  writer.add_token_types([3, 3, 3, 1, 1, 1, 4, 1])
  writer.add_token_merges(["a b"])
  writer.add_eos_token_id(2)
  if template is not None:
    writer.add_chat_template(template)
  arrays = {
    "token_embd.weight": (len(LETTERS), D),
    "output_norm.weight": (D,),
    "output.weight": (len(LETTERS), D),
  }
  for layer in range(L):
    arrays |= {
      f"blk.{layer}.attn_norm.weight": (D,),
      f"blk.{layer}.attn_q.weight": (N * H, D),
      f"blk.{layer}.attn_k.weight": (K * H, D),
      f"blk.{layer}.attn_v.weight": (K * H, D),
      f"blk.{layer}.attn_output.weight": (D, N * H),
      f"blk.{layer}.ffn_norm.weight": (D,),
      f"blk.{layer}.ffn_gate.weight": (F, D),
      f"blk.{layer}.ffn_up.weight": (F, D),
      f"blk.{layer}.ffn_down.weight": (D, F),
    }
  arrays |= dict(tensors)
  arrays = {k: rng.normal(size=s).astype(np.float32) for k, s in arrays.items() if s is not None}
  for name, array in arrays.items():
    writer.add_tensor(name, array)
  writer.write_header_to_file()
  writer.write_kv_data_to_file()
  writer.write_tensors_to_file()
  writer.close()
  return arrays


def refused(path) -> str:
  with pytest.raises(weights.WeightsError) as info:
    weights.load(str(path))
  text = one_line(info)
  assert str(path) in text
  return text


def test_weights_are_where_they_belong(tmp_path):
  """By hand: query row 2j of a head turns with row 2j+1 there, j with j + H/2 here."""
  path = tmp_path / "a.gguf"
  arrays = write(path)
  loaded = weights.load(str(path))
  a, layers = loaded.architecture, loaded.params["layers"]
  assert (a.heads, a.kv_heads, a.head_size, a.ffn_size, a.layers) == (N, K, H, F, L)
  assert (a.rope_theta, a.norm_eps, a.tied_embeddings) == (5000.0, 1e-6, False)
  rows = arrays["blk.1.attn_k.weight"]
  for head in range(K):
    for pair in range(H // 2):
      first, second = rows[head * H + 2 * pair], rows[head * H + 2 * pair + 1]
      np.testing.assert_array_equal(layers["key"][1, :, head, pair], first)
      np.testing.assert_array_equal(layers["key"][1, :, head, pair + H // 2], second)
  np.testing.assert_array_equal(
    layers["value"][0].reshape(D, K * H), arrays["blk.0.attn_v.weight"].T
  )
  np.testing.assert_array_equal(
    layers["output"][0].reshape(N * H, D), arrays["blk.0.attn_output.weight"].T
  )
  np.testing.assert_array_equal(loaded.params["head"], arrays["output.weight"].T)


def test_a_qwen_keeps_its_rows(tmp_path):
  path = tmp_path / "a.gguf"
  biases = {
    f"blk.{layer}.attn_{x}.bias": (size * H,)
    for layer in range(L)
    for x, size in (("q", N), ("k", K), ("v", K))
  }
  arrays = write(path, family="qwen2", tensors=biases | {"output.weight": None}, pre="qwen2")
  loaded = weights.load(str(path))
  assert loaded.architecture.qkv_bias
  assert loaded.architecture.tied_embeddings
  layers = loaded.params["layers"]
  np.testing.assert_array_equal(
    layers["query"][1].reshape(D, N * H), arrays["blk.1.attn_q.weight"].T
  )
  np.testing.assert_array_equal(layers["key_bias"][1].reshape(-1), arrays["blk.1.attn_k.bias"])


def test_its_tokenizer(tmp_path):
  path = tmp_path / "a.gguf"
  write(path, template="{{ messages[0].content }}{{ eos_token }}")
  tokenizer = weights.load(str(path)).tokenizer
  assert tokenizer.encode("ab<|im_end|>b<keep>a") == [5, 2, 4, 6, 3]
  assert tokenizer.decode([5, 2, 6, 3]) == "ab<keep>a"  # user-defined is text, control is not
  assert tokenizer.stop_ids == (2, 0)
  assert tokenizer.encode_chat([{"role": "user", "content": "ba"}]) == [4, 3, 2]


@pytest.mark.parametrize(
  ("options", "said"),
  [
    ({"changes": {"block_count": None}}, "block_count is missing"),
    ({"changes": {"block_count": 3}}, "blk.2.attn_norm.weight is missing"),
    ({"changes": {"block_count": 2**31}}, "2147483648 layers"),
    ({"changes": {"embedding_length": 2**31}}, "shape (8, 8), expected (8, 2147483648)"),
    ({"changes": {"attention.head_count": 0}}, "heads"),
    ({"changes": {"attention.key_length": 4}}, "attn_q.weight has shape (24, 8)"),
    ({"changes": {"rope.dimension_count": 4}}, "rotary"),
    ({"tensors": {"blk.0.attn_q.bias": (N * H,)}}, "blk.0.attn_q.bias has no place"),
    ({"tensors": {"blk.1.ffn_up.weight": None}}, "blk.1.ffn_up.weight is missing"),
    ({"tensors": {"blk.1.ffn_up.weight": (D, F)}}, "blk.1.ffn_up.weight has shape (8, 10)"),
    ({"tensors": {"rope_freqs.weight": (3,)}}, "Hugging Face folders only"),
    ({"family": "gemma3"}, "gemma3.attention.sliding_window is missing"),
    ({"family": "gemma2"}, "'gemma2' is not one of llama, qwen2, qwen3, gemma3"),
    ({"pre": "tekken"}, "'tekken'; 'gpt2' with smollm, qwen2, llama-bpe"),
  ],
)
def test_what_does_not_fit_is_named(tmp_path, options, said):
  path = tmp_path / "a.gguf"
  write(path, **options)
  assert said in refused(path)


def test_every_cut_of_a_file_is_refused(tmp_path):
  write(tmp_path / "whole.gguf")
  whole = (tmp_path / "whole.gguf").read_bytes()
  path = tmp_path / "cut.gguf"
  for size in [*range(0, 64), *range(64, len(whole) - 32, 97)]:
    path.write_bytes(whole[:size])
    refused(path)


@pytest.mark.parametrize("count", [2**31, 2**40, 2**63, 2**64 - 1])
def test_false_counts_end_at_once(tmp_path, count):
  """Of tensors, values, an array's elements, and a text's bytes."""
  head = b"GGUF" + struct.pack("<I", 3)
  name = struct.pack("<Q", 1) + b"x"
  many, one, none = struct.pack("<Q", count), struct.pack("<Q", 1), struct.pack("<Q", 0)
  files = [
    head + many + none,
    head + none + many,
    head + none + one + many,
    head + none + one + name + struct.pack("<II", 9, 8) + many,
    head + none + one + name + struct.pack("<II", 9, 4) + many,
    head + none + one + name + struct.pack("<II", 9, 9) + many + struct.pack("<I", 9) * 9,
    head + none + one + name + struct.pack("<I", 8) + many,
    head + one + none + name + struct.pack("<I", 2**31),
  ]
  for number, content in enumerate(files):
    path = tmp_path / f"{number}.gguf"
    path.write_bytes(content + bytes(256))
    refused(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path):
  """Anything may happen to a file: it is read, or refused with one line."""
  write(tmp_path / "whole.gguf")
  whole = (tmp_path / "whole.gguf").read_bytes()
  path = tmp_path / "flipped.gguf"
  rng = np.random.default_rng(0)
  errors = []
  for _ in range(300):
    broken = bytearray(whole)
    for at in rng.integers(0, 1400, size=2):
      broken[at] = rng.integers(256)
    path.write_bytes(broken)
    try:
      weights.load(str(path))
    except weights.WeightsError as error:
      errors.append(str(error))
  assert len(errors) > 100
  assert not any("\n" in error for error in errors)


@pytest.mark.parametrize(
  ("pre", "words"),
  [
    ("smollm", ["it", "'s", "Ġ", "1", "2", "3", "4", "5", "Ġ", "Ġcafe", "Ìģ!", "ĊĊ"]),
    ("qwen2", ["it", "'s", "Ġ", "1", "2", "3", "4", "5", "Ġ", "ĠcafÃ©", "!ĊĊ"]),
    ("llama-bpe", ["it", "'s", "Ġ", "123", "45", "Ġ", "Ġcafe", "Ìģ!ĊĊ"]),
  ],
)
def test_how_each_pre_tokenizer_cuts_text(tmp_path, pre, words):
  """Qwen2 composes accents first, Llama 3 keeps three digits together; worked out by hand.

  An accent that is a character of its own is no letter: it goes with the sign after it.
  """
  import tokenizers

  path = tmp_path / "a.gguf"
  write(path, pre=pre)
  source = weights.load(str(path)).tokenizer.files()["tokenizer.json"]
  cut = tokenizers.Tokenizer.from_str(source)
  text = "it's 12345  cafe\u0301!\n\n"
  text = cut.normalizer.normalize_str(text) if cut.normalizer else text
  assert [word for word, _ in cut.pre_tokenizer.pre_tokenize_str(text)] == words
