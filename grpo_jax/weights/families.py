"""Families of decoders as the hub names them: what each fixes of an architecture, and what not."""

import dataclasses
from typing import Any

from grpo_jax.config import Architecture
from grpo_jax.weights.errors import WeightsError


@dataclasses.dataclass(frozen=True)
class Family:
  """One model_type.

  named: its class in transformers, as config.json has it.
  fixed: fields of an Architecture that all its models have.
  free: fields beside the sizes that its config.json can say.
  omitted: what its config.json means where it leaves a field out, as transformers 4 writes them.
  """

  named: str
  fixed: dict[str, Any] = dataclasses.field(default_factory=dict)
  free: tuple[str, ...] = ()
  omitted: dict[str, Any] = dataclasses.field(default_factory=dict)


_UNTIED = {"tie_word_embeddings": False, "rope_theta": 10000.0}
_GEMMA3 = {
  "qk_norm": True,
  "post_norms": True,
  "norms_add_one": True,
  "scaled_embeddings": True,
  "activation": "gelu_tanh",
}
FAMILIES = {
  "llama": Family("LlamaForCausalLM", free=("rope_scaling",), omitted=_UNTIED),
  "mistral": Family("MistralForCausalLM", free=("rope_scaling", "sliding_window"), omitted=_UNTIED),
  "qwen2": Family(
    "Qwen2ForCausalLM", fixed={"qkv_bias": True}, free=("rope_scaling",), omitted=_UNTIED
  ),
  "qwen3": Family(
    "Qwen3ForCausalLM", fixed={"qk_norm": True}, free=("rope_scaling",), omitted=_UNTIED
  ),
  "smollm3": Family(
    "SmolLM3ForCausalLM",
    free=("rope_scaling", "no_rope_every"),
    omitted={"tie_word_embeddings": True},
  ),
  "gemma3_text": Family(
    "Gemma3ForCausalLM",
    fixed=_GEMMA3,
    free=("sliding_window", "global_every", "window_rope_theta", "score_size"),
    omitted={"tie_word_embeddings": True},
  ),
}
ACTIVATIONS = {"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh"}

# Name in the parameter tree -> name in the files, {} for the layer.
_TENSORS = {
  "embed": "model.embed_tokens.weight",
  "final_norm": "model.norm.weight",
  "head": "lm_head.weight",
  "attention_norm": "model.layers.{}.input_layernorm.weight",
  "query": "model.layers.{}.self_attn.q_proj.weight",
  "key": "model.layers.{}.self_attn.k_proj.weight",
  "value": "model.layers.{}.self_attn.v_proj.weight",
  "output": "model.layers.{}.self_attn.o_proj.weight",
  "query_bias": "model.layers.{}.self_attn.q_proj.bias",
  "key_bias": "model.layers.{}.self_attn.k_proj.bias",
  "value_bias": "model.layers.{}.self_attn.v_proj.bias",
  "query_norm": "model.layers.{}.self_attn.q_norm.weight",
  "key_norm": "model.layers.{}.self_attn.k_norm.weight",
  "ffn_norm": "model.layers.{}.post_attention_layernorm.weight",
  "gate": "model.layers.{}.mlp.gate_proj.weight",
  "up": "model.layers.{}.mlp.up_proj.weight",
  "down": "model.layers.{}.mlp.down_proj.weight",
}
# Where there are norms after attention too, "post attention" is their name.
_POST_NORMS = {
  "attention_post_norm": "model.layers.{}.post_attention_layernorm.weight",
  "ffn_norm": "model.layers.{}.pre_feedforward_layernorm.weight",
  "ffn_post_norm": "model.layers.{}.post_feedforward_layernorm.weight",
}
# Fields by which families differ; all others are sizes, which every family has.
_OPTIONS: tuple[str, ...] = (
  "qkv_bias",
  "qk_norm",
  "sliding_window",
  "global_every",
  "window_rope_theta",
)
_OPTIONS += ("no_rope_every", "score_size", "post_norms", "norms_add_one", "scaled_embeddings")
_OPTIONS += ("activation", "rope_scaling")


def tensor_names(a: Architecture) -> dict[str, str]:
  """Name in the parameter tree -> name in the files of the hub, {} for the layer."""
  return _TENSORS | (_POST_NORMS if a.post_norms else {})


def family_of(a: Architecture) -> str:
  """The first family that has all that an architecture has.

  Raises:
    WeightsError: none has; those that are nearest are said to lack a field.
  """
  plain = Architecture()
  own = {name: getattr(a, name) for name in _OPTIONS}
  wrong = {}
  for name, family in FAMILIES.items():
    fixed = {option: family.fixed.get(option, getattr(plain, option)) for option in _OPTIONS}
    wrong[name] = [o for o in _OPTIONS if own[o] != fixed[o] and o not in family.free]
    if not wrong[name]:
      return name
  nearest = min(wrong, key=lambda name: len(wrong[name]))
  fields = ", ".join(f"{option}={own[option]}" for option in wrong[nearest])
  raise WeightsError(f"no family that can be exported has {fields}; {nearest} is the nearest")
