"""config.json as the hub has it, of each family and of both transformers 4 and 5."""

import pytest

from grpo_jax import config
from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.families import FAMILIES
from grpo_jax.weights.hub_config import describe, read_architecture
from tests import toys
from tests.weights.helpers import one_line

_FULL, _SLIDING = "full_attention", "sliding_attention"
_SIZES = {
  "vocab_size": 99,
  "hidden_size": 64,
  "num_hidden_layers": 6,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "intermediate_size": 96,
  "max_position_embeddings": 128,
  "rms_norm_eps": 1e-6,
}
# Fields of published files, those that say nothing here among them.
MISTRAL = _SIZES | {
  "model_type": "mistral",
  "architectures": ["MistralForCausalLM"],
  "attention_dropout": 0.0,
  "bos_token_id": 1,
  "eos_token_id": 2,
  "hidden_act": "silu",
  "initializer_range": 0.02,
  "rope_theta": 10000.0,
  "sliding_window": 32,
  "tie_word_embeddings": False,
  "torch_dtype": "bfloat16",
  "transformers_version": "4.34.0",
  "use_cache": True,
}
SMOLLM3 = _SIZES | {
  "model_type": "smollm3",
  "attention_bias": False,
  "layer_types": [_FULL] * 6,
  "max_window_layers": 28,
  "mlp_bias": False,
  "no_rope_layer_interval": 3,
  "no_rope_layers": [1, 1, 0, 1, 1, 0],
  "pretraining_tp": 2,
  "rope_scaling": None,
  "rope_theta": 5e6,
  "sliding_window": None,
  "use_sliding_window": False,
}
GEMMA3 = _SIZES | {
  "model_type": "gemma3_text",
  "attention_bias": False,
  "attn_logit_softcapping": None,
  "cache_implementation": "hybrid",
  "final_logit_softcapping": None,
  "head_dim": 32,
  "hidden_activation": "gelu_pytorch_tanh",
  "query_pre_attn_scalar": 32,
  "rope_local_base_freq": 10000,
  "rope_scaling": None,
  "rope_theta": 1000000,
  "sliding_window": 16,
  "sliding_window_pattern": 3,
}
_TYPES = [_SLIDING, _SLIDING, _FULL] * 2
_ROPES = {
  _FULL: {"rope_type": "default", "rope_theta": 1e6},
  _SLIDING: {"rope_type": "default", "rope_theta": 1e4},
}


def read(fields: dict) -> config.Architecture:
  return read_architecture({k: v for k, v in fields.items() if v is not ...}, "config.json")


def refused(fields: dict) -> str:
  with pytest.raises(WeightsError) as info:
    read(fields)
  line = one_line(info)
  assert line.startswith("config.json")
  return line


def sized(**fields) -> config.Architecture:
  sizes = {"vocab_size": 99, "hidden_size": 64, "layers": 6, "heads": 4, "kv_heads": 2}
  sizes |= {"head_size": 16, "ffn_size": 96, "context_length": 128, "norm_eps": 1e-6}
  return config.Architecture(**sizes | fields)


def test_mistral():
  window = {"tied_embeddings": False, "sliding_window": 32}
  assert read(MISTRAL) == sized(**window)
  # From version 0.2 on there is none; Nemo's heads are smaller than its width over their number.
  assert read(MISTRAL | {"sliding_window": None}) == sized(tied_embeddings=False)
  assert read(MISTRAL | {"head_dim": 12}) == sized(**window, head_size=12)


def test_smollm3():
  expected = sized(rope_theta=5e6, no_rope_every=3)
  assert read(SMOLLM3) == expected
  assert read(SMOLLM3 | {"no_rope_layers": ...}) == expected
  assert read(SMOLLM3 | {"no_rope_layers": [1] * 6}).no_rope_every == 0


def test_gemma3():
  expected = sized(
    **FAMILIES["gemma3_text"].fixed,
    head_size=32,
    rope_theta=1e6,
    sliding_window=16,
    global_every=3,
    window_rope_theta=1e4,
  )
  assert read(GEMMA3) == expected
  # As later versions write it.
  pattern = {"sliding_window_pattern": ..., "_sliding_window_pattern": 6}
  assert read(GEMMA3 | pattern | {"layer_types": _TYPES}) == expected
  ropes = dict.fromkeys(("rope_theta", "rope_local_base_freq", "rope_scaling"), ...)
  assert read(GEMMA3 | ropes | {"rope_parameters": _ROPES}) == expected
  assert read(GEMMA3 | {"query_pre_attn_scalar": 24}).score_size == 24
  assert read(GEMMA3 | {"layer_types": [_FULL] * 6}).sliding_window == 0


@pytest.mark.parametrize(
  ("base", "fields", "said"),
  [
    (MISTRAL, {"residual_multiplier": 0.5}, "residual_multiplier=0.5 is not known here"),
    (MISTRAL, {"sliding_window": ...}, "field 'sliding_window' is missing"),
    (MISTRAL, {"sliding_window": -1}, "sliding_window=-1"),
    (MISTRAL, {"sliding_window": "wide"}, "sliding_window='wide'"),
    (MISTRAL, {"hidden_act": "gelu"}, "'gelu'"),
    (MISTRAL, {"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn'"),
    (MISTRAL, {"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window=True"),
    (MISTRAL, {"model_type": "qwen3", "layer_types": _TYPES}, "layer_types"),
    (SMOLLM3, {"rope_theta": ...}, "field 'rope_theta' is missing"),
    (SMOLLM3, {"no_rope_layers": [1, 0, 1, 1, 1, 0]}, "no_rope_layers=[1, 0, 1, 1, 1, 0]"),
    (SMOLLM3, {"no_rope_layers": ..., "no_rope_layer_interval": ...}, "no_rope_layer_interval"),
    (SMOLLM3, {"layer_types": _TYPES}, "layer_types"),
    (GEMMA3, {"model_type": "gemma3"}, "model_type='gemma3' is not one of llama"),
    (GEMMA3, {"final_logit_softcapping": 30.0}, "final_logit_softcapping=30.0 is not supported"),
    (GEMMA3, {"use_bidirectional_attention": True}, "use_bidirectional_attention=True"),
    (GEMMA3, {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, "'linear'"),
    (GEMMA3, {"rope_local_base_freq": ...}, "field 'rope_local_base_freq' is missing"),
    (GEMMA3, {"rope_parameters": {_FULL: _ROPES[_FULL]}}, "'sliding_attention' is missing"),
    (GEMMA3, {"rope_parameters": _ROPES | {_SLIDING: 3}}, "rotary parameters 3"),
    (GEMMA3, {"query_pre_attn_scalar": ...}, "field 'query_pre_attn_scalar' is missing"),
    (GEMMA3, {"query_pre_attn_scalar": 10.5}, "query_pre_attn_scalar=10.5"),
    (GEMMA3, {"sliding_window": None}, "sliding_window=None"),
    (GEMMA3, {"sliding_window_pattern": ...}, "_sliding_window_pattern"),
    (GEMMA3, {"sliding_window_pattern": -1}, "config.json"),
    (GEMMA3, {"layer_types": _TYPES[:5]}, "5 entries for 6 layers"),
    (GEMMA3, {"layer_types": _TYPES[::-1]}, "every n-th place"),
    (GEMMA3, {"layer_types": ["chunked_attention"] * 6}, "chunked_attention"),
    (GEMMA3, {"layer_types": 7}, "config.json"),
    (GEMMA3, {"num_hidden_layers": 10**12}, "num_hidden_layers=1000000000000"),
    (GEMMA3, {"hidden_activation": "silu"}, "'silu' is not 'gelu_pytorch_tanh'"),
  ],
)
def test_what_is_not_computed_here_is_refused(base, fields, said):
  assert said in refused(base | fields)


@pytest.mark.parametrize("name", toys.FAMILIES)
def test_what_is_described_is_read_again(name):
  """With more layers than a pattern has, so that it shows."""
  a = toys.architecture(**toys.FAMILIES[name] | {"layers": 5})
  assert read(describe(a)) == a


@pytest.mark.parametrize(
  ("fields", "said"),
  [
    ({"qkv_bias": True, "qk_norm": True}, "qk_norm=True; qwen2 is the nearest"),
    ({"sliding_window": 4, "global_every": 2}, "global_every=2; mistral is the nearest"),
    ({"sliding_window": 4, "no_rope_every": 2}, "is the nearest"),
    ({"activation": "gelu_tanh"}, "activation=gelu_tanh"),
    (toys.FAMILIES["gemma3"] | {"post_norms": False}, "post_norms=False; gemma3_text"),
    (toys.FAMILIES["gemma3"] | {"no_rope_every": 2}, "no_rope_every=2; gemma3_text"),
  ],
)
def test_what_no_family_has_is_no_config(fields, said):
  with pytest.raises(WeightsError) as info:
    describe(toys.architecture(**fields))
  assert said in one_line(info)


def test_every_option_of_an_architecture_is_one_of_some_family():
  """A field that no family has would be dropped by an export, in silence."""
  import dataclasses

  from grpo_jax.weights.families import _OPTIONS

  sizes = {"vocab_size", "hidden_size", "layers", "heads", "kv_heads", "head_size", "ffn_size"}
  sizes |= {"context_length", "rope_theta", "norm_eps", "tied_embeddings"}
  names = {field.name for field in dataclasses.fields(config.Architecture)}
  assert names == sizes | set(_OPTIONS)
  for option in _OPTIONS:
    assert any(option in f.free or option in f.fixed for f in FAMILIES.values()), option
