"""Small random models of each family, made by transformers, with norms and biases that matter."""

import os

import tokenizers
import torch
import transformers

SEED = 20
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
_TEMPLATE = (
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
  "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SHAPE = {
  "hidden_size": 32,
  "num_hidden_layers": 2,
  "num_attention_heads": 4,
  "num_key_value_heads": 2,
  "intermediate_size": 40,
  "max_position_embeddings": 64,
}
# With a base of 100 and a context of 32 some frequencies are kept, some blended, some stretched.
_LLAMA3 = {
  "rope_type": "llama3",
  "rope_theta": 100.0,
  "factor": 4.0,
  "low_freq_factor": 1.0,
  "high_freq_factor": 4.0,
  "original_max_position_embeddings": 32,
}
# Windows much shorter than the sequence that is recorded; a layer with one, and one without.
_GEMMA3 = {
  "sliding_window": 5,
  "layer_types": ["sliding_attention", "full_attention"],
  "rope_parameters": {
    "sliding_attention": {"rope_type": "default", "rope_theta": 10.0},
    "full_attention": {"rope_type": "default", "rope_theta": 1000.0},
  },
  "query_pre_attn_scalar": 20,
}


def make_all(vocab_size: int) -> dict[str, transformers.PreTrainedModel]:
  """The models by name, each with weights of its own seed."""
  shape = _SHAPE | {
    "vocab_size": vocab_size,
    "eos_token_id": 2,
    "bos_token_id": None,
    "pad_token_id": None,
  }
  models = {
    "llama": transformers.LlamaForCausalLM(
      transformers.LlamaConfig(**shape, rope_parameters=_LLAMA3, tie_word_embeddings=False)
    ),
    "qwen2": transformers.Qwen2ForCausalLM(
      transformers.Qwen2Config(**shape, tie_word_embeddings=True)
    ),
    "qwen3": transformers.Qwen3ForCausalLM(
      transformers.Qwen3Config(**shape, head_dim=12, tie_word_embeddings=False)
    ),
    "mistral": transformers.MistralForCausalLM(
      transformers.MistralConfig(
        **shape,
        head_dim=12,
        sliding_window=5,
        tie_word_embeddings=False,
      )
    ),
    "smollm3": transformers.SmolLM3ForCausalLM(
      transformers.SmolLM3Config(**shape, no_rope_layer_interval=2, tie_word_embeddings=True)
    ),
    "gemma3": transformers.Gemma3ForCausalLM(
      transformers.Gemma3TextConfig(**shape, head_dim=12, tie_word_embeddings=True, **_GEMMA3)
    ),
  }
  for number, model in enumerate(models.values()):
    _randomise(model.eval(), torch.Generator().manual_seed(SEED + number))
  return models


def make_tokenizer() -> tokenizers.Tokenizer:
  """Byte-level BPE without merges, over printable ASCII and the newline."""
  letters = ["\u0120", "\u010a", *map(chr, range(33, 127))]  # the first two: space and newline
  vocabulary = {token: index for index, token in enumerate(_SPECIAL + letters)}
  tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
  tokenizer.decoder = tokenizers.decoders.ByteLevel()
  tokenizer.add_special_tokens(_SPECIAL)
  return tokenizer


def save(model: transformers.PreTrainedModel, folder: str, **options) -> None:
  """A folder as the hub has it."""
  os.makedirs(folder, exist_ok=True)
  model.save_pretrained(folder, **options)
  fast = transformers.PreTrainedTokenizerFast(
    tokenizer_object=make_tokenizer(), eos_token="<|im_end|>", pad_token="<|endoftext|>"
  )
  fast.chat_template = _TEMPLATE
  fast.save_pretrained(folder)


def _randomise(model: transformers.PreTrainedModel, generator: torch.Generator) -> None:
  """Normal noise in every weight, so large that attention is far from uniform; norms about 1."""
  about = 0 if model.config.model_type == "gemma3_text" else 1  # Gemma adds 1 itself
  with torch.no_grad():
    for name, weight in model.named_parameters():
      noise = torch.randn(weight.shape, generator=generator)
      weight.copy_(about + 0.3 * noise if "norm" in name else 0.3 * noise)
