"""The model's config: where its weights come from, or its shape where they start at random."""

import dataclasses

from grpo_jax.config.fields import Config, field

DTYPES = ("float32", "bfloat16", "float16")
TOKENIZERS = ("weights", "characters")


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class RopeScaling(Config):
  """Llama 3's stretching of low rotary frequencies; the names are those of Hugging Face."""

  factor: float = field(8.0, least=1)
  low_freq_factor: float = field(1.0, above=0)
  high_freq_factor: float = field(4.0, above=0)
  original_context_length: int = field(8192, least=1)

  def contradictions(self) -> list[str]:
    low, high = self.low_freq_factor, self.high_freq_factor
    return [f"low_freq_factor={low} must be below high_freq_factor={high}"] * (low >= high)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Architecture(Config):
  """Shape of a decoder of the Llama, Qwen2 (qkv_bias) or Qwen3 (qk_norm) family.

  vocab_size: 0 is the size of the tokenizer.
  context_length: the longest prompt and answer together.
  """

  vocab_size: int = field(0, least=0)
  hidden_size: int = field(128, least=1)
  layers: int = field(4, least=1)
  heads: int = field(4, least=1)
  kv_heads: int = field(4, least=1)
  head_size: int = field(32, least=2)
  ffn_size: int = field(384, least=1)
  context_length: int = field(2048, least=2)
  rope_theta: float = field(10000.0, above=0)
  rope_scaling: RopeScaling | None = None
  norm_eps: float = field(1e-5, above=0)
  tied_embeddings: bool = True
  qkv_bias: bool = False
  qk_norm: bool = False

  def contradictions(self) -> list[str]:
    problems = []
    if self.heads % self.kv_heads:
      problems.append(f"heads={self.heads} must be a multiple of kv_heads={self.kv_heads}")
    if self.head_size % 2:
      problems.append(f"head_size={self.head_size} must be even: rotary embedding turns pairs")
    return problems


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Model(Config):
  """The policy.

  weights: a Hugging Face folder or a .gguf file; empty starts at random from `architecture`.
  tokenizer: "weights" is the one beside the weights; "characters" is one token a character.
  architecture: read where `weights` is empty; must be None otherwise.
  dtype: the compute type; parameters, optimiser, softmax and losses are float32 whatever it is.
  remat: recompute each layer in the backward pass; otherwise the outputs of its products with
    weights are kept, and only what is cheap is recomputed.
  unroll: layers written out in the compiled program for each turn of the loop over layers;
    0 is all of them: slower to compile, faster to run on a CPU.
  logprob_chunk: tokens whose logits exist at one time, in the forward and the backward pass.
  compactions: how often the batch of a decode step is halved as its answers end; each compiles the
    decode loop once more, so 0 starts soonest, and more is faster where lengths differ much.
  """

  weights: str = ""
  tokenizer: str = field("weights", choices=TOKENIZERS)
  architecture: Architecture | None = None
  dtype: str = field("float32", choices=DTYPES)
  remat: bool = True
  unroll: int = field(1, least=0)
  logprob_chunk: int = field(256, least=1)
  compactions: int = field(1, least=0, most=8)

  def contradictions(self) -> list[str]:
    if not self.weights and self.architecture is None:
      return ["weights is empty, so architecture=Architecture(...) must be given"]
    if self.weights and self.architecture is not None:
      return [f"weights={self.weights!r} brings its own architecture: leave architecture at None"]
    if self.weights and self.tokenizer != "weights":
      return [f"weights={self.weights!r} brings its own tokenizer: leave tokenizer at 'weights'"]
    if not self.weights and self.tokenizer == "weights":
      return ["weights is empty, so there is no tokenizer beside it: set tokenizer='characters'"]
    return []
