"""config.json of the hub: read into an Architecture, and written from one."""

from typing import Any

from grpo_jax.config import Architecture, ConfigError, RopeScaling, check
from grpo_jax.weights.errors import WeightsError
from grpo_jax.weights.families import ACTIVATIONS, FAMILIES, Family, family_of
from grpo_jax.weights.hub_layers import describe_layers, read_layers

# Fields that change the arithmetic, and the only values of them that are computed here.
_FIXED = {
  "use_sliding_window": (False, None),
  "attention_bias": (False, None),
  "mlp_bias": (False, None),
  "partial_rotary_factor": (1, None),
  "rope_interleaved": (False, None),
  "use_mrope": (False, None),
  "use_bidirectional_attention": (False, None),
  "attn_logit_softcapping": (None,),
  "final_logit_softcapping": (None,),
  "is_encoder_decoder": (False, None),
  "quantization_config": (None,),
}
_READ = {"model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"}
_READ |= {"num_key_value_heads", "head_dim", "intermediate_size", "max_position_embeddings"}
_READ |= {"rms_norm_eps", "tie_word_embeddings", "hidden_act", "hidden_activation", "layer_types"}
_READ |= {"rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq", "eos_token_id"}
_READ |= {"sliding_window", "sliding_window_pattern", "query_pre_attn_scalar"}
_READ |= {"no_rope_layers", "no_rope_layer_interval"}
# Fields that change no logits. Names that begin with "_" are private to transformers.
_IGNORED = {"architectures", "transformers_version", "torch_dtype", "dtype", "use_cache"}
_IGNORED |= {"initializer_range", "attention_dropout", "bos_token_id", "pad_token_id"}
_IGNORED |= {"max_window_layers", "pretraining_tp", "cache_implementation", "is_llama_config"}
_IGNORED |= {"return_dict", "output_hidden_states", "output_attentions", "problem_type", "name"}
_IGNORED |= {"id2label", "label2id", "auto_map", "trust_remote_code", "custom_pipelines"}
_IGNORED |= {"unsloth_fixed", "unsloth_version", "transformers.js_config", "use_reentrant"}
_IGNORED |= {"chunk_size_feed_forward", "tokenizer_class"}


def read_architecture(config: dict[str, Any], where: str) -> Architecture:
  """The architecture that a config.json describes.

  Raises:
    WeightsError: one line on a field that is missing, malformed, unknown or not computed here.
  """
  name = config.get("model_type")
  if not isinstance(name, str) or name not in FAMILIES:
    raise WeightsError(f"{where}: model_type={name!r} is not one of {', '.join(FAMILIES)}")
  _refuse_others(config, where)
  try:
    architecture = _architecture(FAMILIES[name].omitted | config, FAMILIES[name])
    check(architecture, where)
  except KeyError as error:
    raise WeightsError(f"{where}: field {error} is missing") from error
  except (TypeError, ValueError, ArithmeticError) as error:
    line = str(error)
    raise WeightsError(line if line.startswith(where) else f"{where}: {line}") from error
  return architecture


def _refuse_others(config: dict[str, Any], where: str) -> None:
  """A field that is not known here may have changed the output elsewhere."""
  for name, value in config.items():
    if value not in _FIXED.get(name, (value,)):
      raise WeightsError(f"{where}: {name}={value!r} is not supported")
    known = name in _FIXED or name in _READ or name in _IGNORED or name.startswith("_")
    if not known and value is not None:
      raise WeightsError(
        f"{where}: {name}={value!r} is not known here: take it out if it changes no logits"
      )


def _architecture(config: dict[str, Any], family: Family) -> Architecture:
  heads = config["num_attention_heads"]
  H = config.get("head_dim") or config["hidden_size"] // heads
  activation = family.fixed.get("activation", "silu")
  asked = config.get("hidden_activation") or config.get("hidden_act")
  if asked not in (None, ACTIVATIONS[activation]):
    raise ConfigError(f"activation {asked!r} is not {ACTIVATIONS[activation]!r}")
  score_size = config["query_pre_attn_scalar"] if "score_size" in family.free else H
  if score_size != int(score_size):
    raise ConfigError(f"query_pre_attn_scalar={score_size} is no whole number")
  rope, local = _ropes(config, family)
  fields = family.fixed | read_layers(config, family)
  if fields.get("sliding_window") and local is not None:
    fields["window_rope_theta"] = local
  return Architecture(
    vocab_size=config["vocab_size"],
    hidden_size=config["hidden_size"],
    layers=config["num_hidden_layers"],
    heads=heads,
    kv_heads=config.get("num_key_value_heads") or heads,
    head_size=H,
    ffn_size=config["intermediate_size"],
    context_length=config["max_position_embeddings"],
    rope_theta=float(rope["rope_theta"]),
    rope_scaling=_rope_scaling(rope),
    norm_eps=float(config["rms_norm_eps"]),
    tied_embeddings=config["tie_word_embeddings"],
    score_size=0 if score_size == H else int(score_size),
    **fields,
  )


def _ropes(config: dict[str, Any], family: Family) -> tuple[dict[str, Any], float | None]:
  """Rotary parameters, and the base of layers with a window where they have their own.

  transformers 5 gathers in rope_parameters what version 4 had in rope_scaling and beside it.
  """
  rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
  local: Any = None
  if "window_rope_theta" in family.free:
    if config.get("rope_parameters"):
      rope, local = (rope[f"{kind}_attention"] for kind in ("full", "sliding"))
    else:
      local = {"rope_theta": config["rope_local_base_freq"]}
    if not isinstance(local, dict) or _rope_scaling(local) is not None:
      raise ConfigError(f"rotary parameters {str(local)[:80]} of layers with a window: not plain")
    local = float(local["rope_theta"])
  if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
    raise ConfigError(f"rotary parameters {str(rope)[:80]} are not those of one kind of layer")
  if not rope.get("rope_theta"):
    rope = rope | {"rope_theta": config["rope_theta"]}
  return rope, local


def _rope_scaling(rope: dict[str, Any]) -> RopeScaling | None:
  kind = rope.get("rope_type") or rope.get("type") or "default"
  if kind == "default":
    return None
  if kind != "llama3":
    raise ConfigError(f"rope type {kind!r} is not supported; 'default' and 'llama3' are")
  return RopeScaling(
    factor=float(rope["factor"]),
    low_freq_factor=float(rope["low_freq_factor"]),
    high_freq_factor=float(rope["high_freq_factor"]),
    original_context_length=rope["original_max_position_embeddings"],
  )


def describe(a: Architecture) -> dict[str, Any]:
  """The architecture as a config.json.

  Raises:
    WeightsError: no family has all of its fields.
  """
  name = family_of(a)
  family = FAMILIES[name]
  rope = _rope(a)
  fields = {
    "architectures": [family.named],
    "model_type": name,
    "vocab_size": a.vocab_size,
    "hidden_size": a.hidden_size,
    "num_hidden_layers": a.layers,
    "num_attention_heads": a.heads,
    "num_key_value_heads": a.kv_heads,
    "head_dim": a.head_size,
    "intermediate_size": a.ffn_size,
    "max_position_embeddings": a.context_length,
    # Once for readers that know transformers 4, once for those that know 5.
    "rope_theta": a.rope_theta,
    "rope_scaling": rope if a.rope_scaling is not None else None,
    "rope_parameters": rope,
    "rms_norm_eps": a.norm_eps,
    "tie_word_embeddings": a.tied_embeddings,
    "hidden_act": ACTIVATIONS[a.activation],
    "torch_dtype": "float32",
    # The classes' own defaults are ids of the published vocabularies.
    "bos_token_id": None,
    "pad_token_id": None,
  } | describe_layers(a, family)
  if "window_rope_theta" in family.free:
    theta = a.window_rope_theta or a.rope_theta
    local = {"rope_type": "default", "rope_theta": theta} if a.window_rope_theta else rope
    fields["rope_parameters"] = {"full_attention": rope, "sliding_attention": local}
    fields["rope_local_base_freq"] = theta
    fields["hidden_activation"] = fields["hidden_act"]
    fields["query_pre_attn_scalar"] = a.score_size or a.head_size
  return fields


def _rope(a: Architecture) -> dict[str, Any]:
  rope: dict[str, Any] = {"rope_type": "default", "rope_theta": a.rope_theta}
  if a.rope_scaling is not None:
    rope |= {
      "rope_type": "llama3",
      "factor": a.rope_scaling.factor,
      "low_freq_factor": a.rope_scaling.low_freq_factor,
      "high_freq_factor": a.rope_scaling.high_freq_factor,
      "original_max_position_embeddings": a.rope_scaling.original_context_length,
    }
  return rope
