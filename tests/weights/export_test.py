"""Export then import is the identity: shape, weights bit for bit, tokenizer, chats."""

import dataclasses
import json
import os

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from grpo_jax import config, weights
from grpo_jax.weights.tokenizer import CharacterTokenizer
from tests import toys
from tests.weights.helpers import DATA, FAMILIES, copy_of, one_line

CHATS = [
  [{"role": "user", "content": "3 + 4\n<|im_end|> ?"}],
  [{"role": "system", "content": ""}, {"role": "user", "content": "\r\n a  b"}],
]


def same_params(ours, theirs) -> None:
  assert jax.tree.structure(ours) == jax.tree.structure(theirs)
  # Bits, so that -0.0 and the last place count.
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(a.view(np.int32), b.view(np.int32)), ours, theirs
  )


def saved(folder, model: weights.Pretrained) -> weights.Pretrained:
  weights.save(str(folder), model.architecture, model.params, model.tokenizer)
  return weights.load(str(folder))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_comes_back_as_it_was(tmp_path, name):
  """Three families; among them scaled rotary embedding, biases, tied heads, odd head sizes."""
  model = weights.load(os.path.join(DATA, name))
  again = saved(tmp_path, model)
  assert again.architecture == model.architecture
  same_params(again.params, model.params)
  assert again.tokenizer.vocab_size == model.tokenizer.vocab_size
  assert again.tokenizer.stop_ids == model.tokenizer.stop_ids
  for chat in CHATS:
    ids = model.tokenizer.encode_chat(chat)
    assert again.tokenizer.encode_chat(chat) == ids
    assert again.tokenizer.decode(ids) == model.tokenizer.decode(ids)


def test_a_second_export_is_the_first(tmp_path):
  model = weights.load(os.path.join(DATA, "qwen2"))
  once = saved(tmp_path / "once", model)
  saved(tmp_path / "twice", once)
  for name in sorted(os.listdir(tmp_path / "once")):
    assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_params_of_a_training_run(tmp_path):
  """What a run has: jax arrays of a network that began at random."""
  tokenizer = weights.load(os.path.join(DATA, "llama")).tokenizer
  net = toys.network(vocab_size=tokenizer.vocab_size, tied_embeddings=False, kv_heads=1)
  params = toys.random_params(net)
  again = saved(tmp_path, weights.Pretrained(net.architecture, params, tokenizer))
  assert again.architecture == net.architecture
  same_params(again.params, jax.tree.map(np.asarray, params))


def test_the_first_layer_of_smollm2_comes_back(tmp_path, smollm2):
  """From one format to the other: the rows of q and k are ours in between."""
  layers = jax.tree.map(lambda leaf: leaf[:1], smollm2.params["layers"])
  first = weights.Pretrained(
    dataclasses.replace(smollm2.architecture, layers=1),
    smollm2.params | {"layers": layers},
    smollm2.tokenizer,
  )
  again = saved(tmp_path, first)
  os.remove(tmp_path / "model.safetensors")  # pytest keeps its folders, and this one is large
  assert again.architecture == first.architecture
  same_params(again.params, first.params)
  assert again.tokenizer.encode_chat(CHATS[0]) == smollm2.tokenizer.encode_chat(CHATS[0])
  assert set(again.tokenizer.stop_ids) == set(smollm2.tokenizer.stop_ids)


def test_only_named_files_are_written(tmp_path):
  saved(tmp_path, weights.load(os.path.join(DATA, "qwen3")))
  assert sorted(os.listdir(tmp_path)) == [
    *("chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json"),
  ]
  described = json.loads((tmp_path / "config.json").read_text())
  assert described["architectures"] == ["Qwen3ForCausalLM"]
  assert described["eos_token_id"] == 2
  assert len({os.stat(tmp_path / name).st_mode for name in os.listdir(tmp_path)}) == 1


def test_an_export_replaces_the_one_before(tmp_path):
  model = weights.load(os.path.join(DATA, "llama"))
  saved(tmp_path, model)
  doubled = jax.tree.map(lambda leaf: leaf * 2, model.params)
  same_params(saved(tmp_path, dataclasses.replace(model, params=doubled)).params, doubled)


def test_what_no_family_has_is_refused(tmp_path):
  model = weights.load(os.path.join(DATA, "qwen2"))
  both = dataclasses.replace(model.architecture, qk_norm=True)
  with pytest.raises(config.ConfigError) as info:
    weights.save(str(tmp_path / "new"), both, model.params, model.tokenizer)
  assert "qk_norm" in one_line(info)
  assert not (tmp_path / "new").exists()


def test_the_character_tokenizer_comes_back(tmp_path):
  tokenizer = CharacterTokenizer()
  net = toys.network(vocab_size=tokenizer.vocab_size)
  model = weights.Pretrained(net.architecture, toys.random_params(net), tokenizer)
  again = saved(tmp_path, model).tokenizer
  text = "What is 3 + 4?\n  <stop!> ~"
  assert again.encode(text) == tokenizer.encode(text)
  assert again.encode_chat(CHATS[0]) == tokenizer.encode_chat(CHATS[0])
  assert again.decode([*tokenizer.encode(text), *tokenizer.stop_ids]) == text
  assert (again.stop_ids, again.vocab_size) == (tokenizer.stop_ids, tokenizer.vocab_size)
  with pytest.raises(config.ConfigError, match="'é'"):
    again.encode("é")


def test_no_template_of_an_earlier_export_stays(tmp_path):
  saved(tmp_path, weights.load(os.path.join(DATA, "llama")))
  assert (tmp_path / "chat_template.jinja").exists()
  test_the_character_tokenizer_comes_back(tmp_path)
  assert not (tmp_path / "chat_template.jinja").exists()


def test_a_sharded_model_is_not_written_into(tmp_path):
  """Its index would be read instead of what was written."""
  model = weights.load(os.path.join(DATA, "llama"))
  folder = copy_of("qwen3", tmp_path)
  before = sorted(os.listdir(folder))
  with pytest.raises(config.ConfigError, match="sharded"):
    weights.save(folder, model.architecture, model.params, model.tokenizer)
  assert sorted(os.listdir(folder)) == before


def test_an_adapter_has_the_names_and_shapes_of_peft(tmp_path):
  """Products as PyTorch has them: outputs first; alpha and rank in the config."""
  net, lora = toys.network(), config.LoRA(rank=3, alpha=6.0, targets=("query", "output", "down"))
  adapters = toys.random_adapters(net, lora)
  weights.save_adapter(str(tmp_path / "own"), net.architecture, adapters, lora, "models/base")
  with open(tmp_path / "own" / "adapter_config.json", encoding="utf-8") as file:
    described = json.load(file)
  assert (described["r"], described["lora_alpha"]) == (3, 6.0)
  assert described["target_modules"] == ["q_proj", "o_proj", "down_proj"]
  assert described["base_model_name_or_path"] == "models/base"
  tensors = load_file(str(tmp_path / "own" / "adapter_model.safetensors"))
  a = net.architecture
  heads, wide = a.heads * a.head_size, a.hidden_size
  shapes = {
    "self_attn.q_proj.lora_A": (3, wide),
    "self_attn.q_proj.lora_B": (heads, 3),
    "self_attn.o_proj.lora_A": (3, heads),
    "self_attn.o_proj.lora_B": (wide, 3),
    "mlp.down_proj.lora_A": (3, a.ffn_size),
    "mlp.down_proj.lora_B": (wide, 3),
  }
  assert {name: tensor.shape for name, tensor in tensors.items()} == {
    f"base_model.model.model.layers.{layer}.{name}.weight": shape
    for layer in range(a.layers)
    for name, shape in shapes.items()
  }
  x = np.random.default_rng(0).normal(size=wide).astype(np.float32)
  place = "base_model.model.model.layers.1.self_attn.q_proj"
  theirs = tensors[f"{place}.lora_B.weight"] @ (tensors[f"{place}.lora_A.weight"] @ x)
  layers = adapters["layers"]
  ours = np.einsum("d,dr,rnh->nh", x, layers["query_a"][1], layers["query_b"][1])
  np.testing.assert_allclose(ours.reshape(-1), theirs, rtol=1e-4, atol=1e-5)
